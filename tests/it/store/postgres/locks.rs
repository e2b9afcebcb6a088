//! Two writers that meet, in each order, with a third party holding the first one where it matters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::outbox::{DeliveryOutcome, DeliveryState, OutboxLease, Recipients};
use hookmirror::model::state::EventState;
use hookmirror::store::Store;
use hookmirror::store::postgres::PostgresStore;
use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;

use super::{MIRRORED, execute, texts};
use crate::store::{apply, outcomes, record_of, report, state_of};
use crate::support::given::{
    at, by_customer, delete, failing, ignore, mirror, record, retry, session, session_of, user,
};
use crate::support::postgres::TestDatabase;

const PATIENCE: Duration = Duration::from_secs(20);

/// A database, two writers, and someone who stops them.
pub(super) struct Scene {
    pub(super) database: TestDatabase,
    pub(super) first: Arc<PostgresStore>,
    pub(super) second: Arc<PostgresStore>,
    watcher: PgConnection,
    holder: PgConnection,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let database = TestDatabase::migrated().await;
        Self {
            first: Arc::new(database.store()),
            second: Arc::new(database.store()),
            watcher: database.stranger().await,
            holder: database.stranger().await,
            database,
        }
    }

    /// From now on whoever writes to this table waits, with all that it wrote before.
    pub(super) async fn hold(&mut self, table: &str) {
        let sql = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE");
        execute(&mut self.holder, &sql).await;
    }

    pub(super) async fn let_go(&mut self) {
        execute(&mut self.holder, "COMMIT").await;
    }

    /// Waits until so many wait for a lock.
    pub(super) async fn until_waiting(&mut self, writers: usize) {
        let begun = Instant::now();
        loop {
            let waiting = texts(
                &mut self.watcher,
                "SELECT query FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await;
            if waiting.len() == writers {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not {writers}: {waiting:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets both write, the second when the first has written all but the ledger.
    pub(super) async fn meet(&mut self, first: Planned, second: Planned) -> [Outcome; 2] {
        self.hold("events").await;
        let first = applying(&self.first, first);
        self.until_waiting(1).await;
        let second = applying(&self.second, second);
        self.until_waiting(2).await;
        self.let_go().await;
        [first.await.unwrap(), second.await.unwrap()]
    }
}

pub(super) fn applying(store: &Arc<PostgresStore>, event: Planned) -> JoinHandle<Outcome> {
    let store = Arc::clone(store);
    tokio::spawn(async move { outcomes(&*store, 10, &[event]).await[0] })
}

#[tokio::test]
async fn a_mirrorer_who_comes_second_finds_the_user_gone() {
    for known_before in [false, true] {
        let mut scene = Scene::new().await;
        if known_before {
            let before = mirror("msg_0", user("user_a", 0, "Ann"));
            apply(&*scene.first, 0, &[before]).await;
        }
        let paid = record("evt_1", session_of("cs_1", "user_a"));
        apply(&*scene.first, 0, &[paid]).await;
        let gone = delete("msg_1", "user_a", 5);
        let seen = mirror("msg_2", user("user_a", 9, "Anna"));
        let expected = [Outcome::UserDeleted, Outcome::UserGone];
        assert_eq!(scene.meet(gone, seen).await, expected, "{known_before}");
        let found = report(&*scene.first, "user_a").await;
        assert_eq!((found.user, found.deleted_at), (None, Some(at(5))));
        assert_eq!(found.outbox.unwrap().state, DeliveryState::UserGone);
        let summary = record_of(&*scene.first, "msg_2").await.summary;
        assert_eq!(summary.outcome, "user_gone");
    }
}

#[tokio::test]
async fn a_deleter_who_comes_second_removes_what_the_first_wrote() {
    for known_before in [false, true] {
        let mut scene = Scene::new().await;
        if known_before {
            let before = mirror("msg_0", user("user_a", 0, "Ann"));
            apply(&*scene.first, 0, &[before]).await;
        }
        let seen = mirror("msg_1", user("user_a", 9, "Anna"));
        let gone = delete("msg_2", "user_a", 5);
        let expected = [MIRRORED, Outcome::UserDeleted];
        assert_eq!(scene.meet(seen, gone).await, expected, "{known_before}");
        let found = report(&*scene.first, "user_a").await;
        assert_eq!((found.user, found.deleted_at), (None, Some(at(5))));
    }
}

#[tokio::test]
async fn of_two_states_the_newer_one_stays_whoever_comes_second() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut scene = Scene::new().await;
        let state = |time: i64| mirror(&format!("msg_{time}"), user("user_a", time, "Ann"));
        let found = scene.meet(state(first), state(second)).await;
        let expected = if second > first {
            MIRRORED
        } else {
            Outcome::UserStale
        };
        assert_eq!(found, [MIRRORED, expected]);
        let found = report(&*scene.first, "user_a").await.user.unwrap();
        assert_eq!(found.updated_at, at(2));
    }
}

#[tokio::test]
async fn two_that_mirror_and_delete_each_others_users_do_not_deadlock() {
    let mut scene = Scene::new().await;
    // Nobody would notice, and both would wait until they fail.
    let name = scene.database.url.rsplit('/').next().unwrap();
    let sql = format!("ALTER DATABASE {name} SET deadlock_timeout = '1h'");
    execute(&mut scene.watcher, &sql).await;
    scene.hold("events").await;
    let batches = [
        [
            mirror("msg_1", user("user_b", 1, "Bob")),
            delete("msg_2", "user_a", 1),
        ],
        [
            mirror("msg_3", user("user_a", 2, "Ann")),
            delete("msg_4", "user_b", 2),
        ],
    ];
    let stores = [Arc::clone(&scene.first), Arc::clone(&scene.second)];
    let mut running = Vec::new();
    for (store, batch) in stores.into_iter().zip(batches) {
        running.push(tokio::spawn(
            async move { outcomes(&*store, 10, &batch).await },
        ));
        scene.until_waiting(running.len()).await;
    }
    scene.let_go().await;
    for batch in running {
        batch.await.unwrap();
    }
    for id in ["user_a", "user_b"] {
        assert_eq!(report(&*scene.first, id).await.user, None);
    }
}

#[tokio::test]
async fn payments_of_one_customer_are_joined_whoever_comes_second() {
    let named = record("evt_1", by_customer("cus_1", session_of("cs_1", "user_a")));
    let anonymous = record("evt_2", by_customer("cus_1", session("cs_2")));
    for (first, second) in [(named.clone(), anonymous.clone()), (anonymous, named)] {
        let mut scene = Scene::new().await;
        scene.meet(first, second).await;
        let found = report(&*scene.first, "user_a").await;
        assert_eq!(found.facts.sessions.len(), 2);
        for event in ["evt_1", "evt_2"] {
            assert_eq!(state_of(&*scene.first, event).await, EventState::Applied);
        }
    }
}

#[tokio::test]
async fn payments_of_one_user_are_decided_together() {
    let older = record("evt_1", session_of("cs_1", "user_a"));
    let newer = record(
        "evt_2",
        crate::support::given::opened(9, session_of("cs_2", "user_a")),
    );
    for (first, second) in [(older.clone(), newer.clone()), (newer, older)] {
        let mut scene = Scene::new().await;
        scene.meet(first, second).await;
        let found = report(&*scene.first, "user_a").await.entitlement.unwrap();
        assert_eq!(found.checkout_session_id.unwrap(), "cs_2");
    }
}

#[tokio::test]
async fn a_payment_and_the_deletion_of_its_user_send_nothing() {
    let paid = record("evt_1", session_of("cs_1", "user_a"));
    let gone = delete("msg_1", "user_a", 5);
    for (first, second) in [(paid.clone(), gone.clone()), (gone, paid)] {
        let mut scene = Scene::new().await;
        scene.meet(first, second).await;
        let found = report(&*scene.first, "user_a").await.outbox.unwrap();
        assert_eq!(found.state, DeliveryState::UserGone);
    }
}

/// The scene where Clerk denies a user whose payment was to be delivered.
async fn denied() -> (Scene, OutboxLease) {
    let scene = Scene::new().await;
    let paid = record("evt_1", session_of("cs_1", "user_a"));
    apply(&*scene.first, 0, &[paid]).await;
    let leases = scene
        .first
        .lease_outbox(&Recipients::All, 10, at(0), at(60))
        .await
        .unwrap();
    let lease = leases.into_iter().next().unwrap();
    (scene, lease)
}

fn settling(store: &Arc<PostgresStore>, lease: OutboxLease) -> JoinHandle<()> {
    let store = Arc::clone(store);
    let gone = DeliveryOutcome::UserGone {
        again_at: at(100),
        error: "not found".to_owned(),
    };
    tokio::spawn(async move { store.settle_outbox(&lease, &gone, at(20)).await.unwrap() })
}

#[tokio::test]
async fn a_denial_that_comes_after_the_user_is_not_believed() {
    let (mut scene, lease) = denied().await;
    scene.hold("events").await;
    let mirrored = applying(&scene.first, mirror("msg_1", user("user_a", 1, "Ann")));
    scene.until_waiting(1).await;
    let settled = settling(&scene.second, lease);
    scene.until_waiting(2).await;
    scene.let_go().await;
    mirrored.await.unwrap();
    settled.await.unwrap();
    let found = report(&*scene.first, "user_a").await.outbox.unwrap();
    assert_eq!(found.state, DeliveryState::Pending);
    assert_eq!(found.next_attempt_at, Some(at(100)));
}

#[tokio::test]
async fn a_user_who_comes_after_the_denial_wakes_the_entry() {
    let (mut scene, lease) = denied().await;
    scene.hold("outbox_attempts").await;
    let settled = settling(&scene.first, lease);
    scene.until_waiting(1).await;
    let mirrored = applying(&scene.second, mirror("msg_1", user("user_a", 1, "Ann")));
    scene.until_waiting(2).await;
    scene.let_go().await;
    settled.await.unwrap();
    mirrored.await.unwrap();
    let found = report(&*scene.first, "user_a").await.outbox.unwrap();
    assert_eq!(found.state, DeliveryState::Pending);
    assert_eq!(found.next_attempt_at, Some(at(10)));
}

#[tokio::test]
async fn an_event_that_two_workers_fail_at_once_has_two_attempts() {
    let mut scene = Scene::new().await;
    let bad = || failing("msg_1", "user.updated", "data.id");
    scene.meet(bad(), bad()).await;
    let record = record_of(&*scene.first, "msg_1").await;
    assert_eq!(record.summary.state, EventState::Failed);
    assert_eq!((record.summary.deliveries, record.summary.attempts), (2, 2));
    assert_eq!(record.attempts.len(), 2);
}

#[tokio::test]
async fn an_event_that_one_worker_settles_stays_settled() {
    let mut scene = Scene::new().await;
    // The first has written this event and waits for the next; the second waits for the first.
    execute(
        &mut scene.holder,
        "BEGIN; INSERT INTO events (source, event_id, event_type, state, outcome, deliveries, \
         attempts, received_at) VALUES ('clerk', 'msg_2', 'a.type', 'ignored', '', 1, 1, now())",
    )
    .await;
    let first = {
        let store = Arc::clone(&scene.first);
        let batch = [
            mirror("msg_1", user("user_a", 1, "Ann")),
            ignore("msg_2", "a.type"),
        ];
        tokio::spawn(async move { outcomes(&*store, 10, &batch).await })
    };
    scene.until_waiting(1).await;
    let second = applying(&scene.second, retry("msg_1"));
    scene.until_waiting(2).await;
    execute(&mut scene.holder, "ROLLBACK").await;
    first.await.unwrap();
    second.await.unwrap();

    let record = record_of(&*scene.first, "msg_1").await;
    assert_eq!(record.summary.state, EventState::Applied);
    assert_eq!(record.summary.outcome, "user_mirrored");
    assert_eq!((record.summary.deliveries, record.summary.attempts), (2, 1));
    assert_eq!(record.attempts, []);
}

#[tokio::test]
async fn what_another_one_is_leasing_is_neither_leased_nor_waited_for() {
    let mut scene = Scene::new().await;
    let batch = [
        retry("msg_1"),
        retry("msg_2"),
        record("evt_1", session_of("cs_1", "user_a")),
        record("evt_2", session_of("cs_2", "user_b")),
    ];
    apply(&*scene.first, 0, &batch).await;
    execute(
        &mut scene.holder,
        "BEGIN; SELECT 1 FROM events WHERE event_id = 'msg_1' FOR UPDATE; \
         SELECT 1 FROM outbox WHERE user_id = 'user_a' FOR UPDATE",
    )
    .await;
    let (now, until) = (at(1000), at(2000));
    let retries = scene.first.lease_retries(10, now, until).await.unwrap();
    let entries = scene
        .first
        .lease_outbox(&Recipients::All, 10, now, until)
        .await
        .unwrap();
    scene.let_go().await;
    assert_eq!(retries.len(), 1);
    assert_eq!(retries[0].event.key.id.as_str(), "msg_2");
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].user_id.as_str(), "user_b");
}

#[tokio::test]
async fn a_batch_that_gives_way_in_a_deadlock_begins_anew() {
    let mut scene = Scene::new().await;
    let bad = failing("msg_1", "user.updated", "data.id");
    apply(&*scene.first, 0, &[bad]).await;
    apply(
        &*scene.first,
        0,
        &[mirror("msg_0", user("user_a", 0, "Ann"))],
    )
    .await;
    // The store looks for deadlocks a second after it began to wait; the other one never does.
    let url = format!("{}?options=-cdeadlock_timeout%3D1s", scene.database.url);
    let store = Arc::new(PostgresStore::connect(&url).unwrap());
    execute(
        &mut scene.holder,
        "SET deadlock_timeout = '1h'; BEGIN; SELECT 1 FROM events WHERE event_id = 'msg_1' FOR UPDATE",
    )
    .await;
    let good = applying(&store, mirror("msg_1", user("user_a", 1, "Ann")));
    scene.until_waiting(1).await;
    // Can be had only once the batch has given way: it waits for what is held here.
    let sql = "SELECT 1 FROM users WHERE id = 'user_a' FOR UPDATE";
    execute(&mut scene.holder, sql).await;
    scene.let_go().await;
    assert_eq!(good.await.unwrap(), MIRRORED);
    let summary = record_of(&*scene.first, "msg_1").await.summary;
    assert_eq!(summary.state, EventState::Applied);
    assert_eq!((summary.deliveries, summary.attempts), (2, 2));
}

/// More keys than the server has room for.
#[tokio::test]
async fn a_batch_takes_few_locks_however_many_keys_it_has() {
    let mut scene = Scene::new().await;
    let batch: Vec<Planned> = (0..200)
        .map(|number| {
            let session = session_of(&format!("cs_{number}"), &format!("user_{number}"));
            let session = by_customer(&format!("cus_{number}"), session);
            record(&format!("evt_{number}"), session)
        })
        .collect();
    scene.hold("events").await;
    let store = Arc::clone(&scene.first);
    let whole = tokio::spawn(async move { outcomes(&*store, 0, &batch).await });
    scene.until_waiting(1).await;
    let sql = "SELECT COUNT(*)::text FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database \
         WHERE locktype = 'advisory' AND datname = current_database()";
    assert_eq!(texts(&mut scene.watcher, sql).await, ["1"]);
    // It keeps away whoever has a few.
    let few = applying(&scene.second, record("evt_x", session_of("cs_0", "user_x")));
    scene.until_waiting(2).await;
    scene.let_go().await;
    assert_eq!(whole.await.unwrap(), vec![Outcome::PaymentRecorded; 200]);
    few.await.unwrap();
    let found = report(&*scene.first, "user_0").await;
    assert_eq!(found.facts.sessions.len(), 1, "what was named first stays");
}
