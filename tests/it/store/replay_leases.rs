//! How the events of replays are handed out.

use std::time::Duration;

use hookmirror::model::event::Trigger;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::replay::{
    ReplayId, ReplayLease, ReplayRate, ReplayRound, ReplayState, ReplayStep,
};
use hookmirror::model::time::Timestamp;
use hookmirror::store::{STALLED_AFTER, Store};

use super::apply;
use super::replays::{events, find, order, ordered, start, start_order};
use crate::support::database::Database;
use crate::support::given::{at, ignore, mirror, received, replayed, user};

const LEASE: Duration = Duration::from_secs(30);

async fn round(store: &dyn Store, now: Timestamp) -> ReplayRound {
    store.lease_replays(now, now.plus(LEASE)).await.unwrap()
}

async fn lease(store: &dyn Store, now: Timestamp) -> Vec<String> {
    names(&round(store, now).await.leases)
}

fn names(leases: &[ReplayLease]) -> Vec<String> {
    let ids = leases.iter().map(|lease| lease.event.key.id.to_string());
    ids.collect()
}

/// So many events without a subject.
async fn many(store: &dyn Store, events: u32) -> Vec<String> {
    let names: Vec<String> = (0..events)
        .map(|number| format!("msg_{number:05}"))
        .collect();
    let batch: Vec<_> = names.iter().map(|name| ignore(name, "a.type")).collect();
    apply(store, 0, &batch).await;
    names
}

async fn start_all(store: &dyn Store, now: i64, rate: u32) -> ReplayId {
    let mut all = ordered(EventFilter::default());
    all.rate = ReplayRate::new(rate).unwrap();
    start_order(store, now, &all).await
}

pub(super) async fn an_event_is_leased_as_it_came(database: &Database) {
    let store = &*database.store;
    let first = received(3, ignore("msg_1", "a.type"));
    apply(store, 5, std::slice::from_ref(&first)).await;
    let id = start(store, 6, &["msg_1"]).await;
    let round = round(store, at(10)).await;
    assert!(round.running);
    let mut expected = first.event;
    expected.trigger = Trigger::Replay(id);
    let lease = ReplayLease {
        replay: id,
        position: 1,
        event: expected,
        until: at(10).plus(LEASE),
    };
    assert_eq!(round.leases, [lease]);
}

pub(super) async fn events_about_one_subject_go_one_after_the_other(database: &Database) {
    let store = &*database.store;
    let of = |event: &str, id: &str, time| received(time, mirror(event, user(id, time, "Any")));
    let batch = [
        of("msg_a1", "user_a", 1),
        of("msg_b1", "user_b", 2),
        of("msg_a2", "user_a", 3),
        of("msg_a3", "user_a", 4),
    ];
    apply(store, 5, &batch).await;
    let id = start(store, 6, &["msg_a1", "msg_b1", "msg_a2", "msg_a3"]).await;
    assert_eq!(lease(store, at(10)).await, ["msg_a1", "msg_b1"]);
    assert!(lease(store, at(11)).await.is_empty());
    apply(store, 12, &[replayed(id, batch[1].clone())]).await;
    assert!(lease(store, at(13)).await.is_empty());
    // Not even a message of its own gets ahead.
    apply(store, 14, &[replayed(id, batch[2].clone())]).await;
    assert_eq!(events(store, id).await[2].step, ReplayStep::Held);
    for (now, done, next) in [(15, 0, "msg_a2"), (17, 2, "msg_a3")] {
        apply(store, now, &[replayed(id, batch[done].clone())]).await;
        assert_eq!(lease(store, at(now + 1)).await, [next]);
    }
    apply(store, 19, &[replayed(id, batch[3].clone())]).await;
    assert!(round(store, at(20)).await.running, "it has only just ended");
    assert_eq!(find(store, id).await.replay.state, ReplayState::Done);
    assert_eq!(round(store, at(21)).await, ReplayRound::default());
}

pub(super) async fn two_schedulers_together_keep_the_pace(database: &Database) {
    let store = &*database.store;
    let all = many(store, 300).await;
    for (rate, seconds) in [(1, 5_u32), (7, 4), (50, 3)] {
        let id = start_all(store, 100, rate).await;
        let mut leased = Vec::new();
        let steps = seconds * 20;
        for step in 1..=steps {
            let now = at(100).plus(Duration::from_millis(50) * step);
            let (one, other) = tokio::join!(lease(store, now), lease(store, now));
            leased.extend(one);
            leased.extend(other);
            // At no time ahead of the pace.
            let most = u64::from(rate) * u64::from(step) * 50 / 1000;
            assert!(leased.len() as u64 <= most, "{} after {step}", leased.len());
        }
        let most = (rate * seconds) as usize;
        assert!(leased.len() * 10 >= most * 9, "{} of {most}", leased.len());
        assert_eq!(leased, all[..leased.len()], "each once, in order");
        let ada = hookmirror::model::operator::Operator::unknown();
        let mode = crate::support::given::for_real();
        store.cancel_replay(id, &ada, &mode, at(200)).await.unwrap();
    }
    // Nobody was there for long: that is not made up for.
    start_all(store, 100, 50).await;
    let burst = lease(store, at(1000)).await.len();
    assert!((1..=15).contains(&burst), "{burst}");
}

pub(super) async fn each_replay_has_its_own_pace(database: &Database) {
    let store = &*database.store;
    many(store, 40).await;
    let slow = start_all(store, 0, 10).await;
    let fast = start_all(store, 0, 100).await;
    let round = round(store, at(0).plus(Duration::from_millis(200))).await;
    let of = |id| {
        round
            .leases
            .iter()
            .filter(|lease| lease.replay == id)
            .count()
    };
    assert_eq!((of(slow), of(fast)), (2, 20));
}

pub(super) async fn a_lease_that_ran_out_is_leased_again(database: &Database) {
    let store = &*database.store;
    many(store, 2).await;
    let id = start_all(store, 0, 100).await;
    let first = round(store, at(10)).await.leases;
    assert_eq!(first.len(), 2);
    // Published, and nobody knows; a worker has it all the same.
    apply(store, 11, &[replayed(id, ignore("msg_00000", "a.type"))]).await;
    assert!(lease(store, at(39)).await.is_empty());
    assert_eq!(lease(store, at(40)).await, ["msg_00001"]);
}

pub(super) async fn what_is_queued_is_not_leased_until_nothing_moves(database: &Database) {
    let store = &*database.store;
    many(store, 3).await;
    let id = start_all(store, 0, 100).await;
    let leases = round(store, at(10)).await.leases;
    store.replays_queued(&leases, at(11)).await.unwrap();
    let queued = |events: &[hookmirror::model::replay::ReplayedEvent]| {
        let queued = events
            .iter()
            .filter(|event| event.step == ReplayStep::Queued);
        queued.count()
    };
    assert_eq!(queued(&events(store, id).await), 3);
    assert_eq!(find(store, id).await.queued, 3);
    let stalled = i64::try_from(STALLED_AFTER.as_secs()).unwrap();
    assert!(lease(store, at(10 + stalled)).await.is_empty());
    // One moved a while ago: the others may be on their way yet.
    apply(store, 1000, &[replayed(id, ignore("msg_00000", "a.type"))]).await;
    for now in [12 + stalled, 999 + stalled] {
        assert!(lease(store, at(now)).await.is_empty());
        assert!(lease(store, at(now)).await.is_empty());
    }
    assert!(
        lease(store, at(1000 + stalled)).await.is_empty(),
        "put back"
    );
    let again = lease(store, at(1001 + stalled)).await;
    assert_eq!(again, ["msg_00001", "msg_00002"]);
    // Only one of two messages has an effect.
    let batch = [replayed(id, ignore("msg_00001", "a.type"))];
    for now in [4000, 4001] {
        apply(store, now, &batch).await;
    }
    assert_eq!(find(store, id).await.replay.done, 2);
}

pub(super) async fn a_lost_lease_of_a_replay_says_nothing(database: &Database) {
    let store = &*database.store;
    many(store, 1).await;
    let id = start_all(store, 0, 100).await;
    let lost = round(store, at(10)).await.leases;
    let held = round(store, at(50)).await.leases;
    store.replays_queued(&lost, at(51)).await.unwrap();
    assert_eq!(events(store, id).await[0].step, ReplayStep::Pending);
    store.replays_queued(&held, at(51)).await.unwrap();
    assert_eq!(events(store, id).await[0].step, ReplayStep::Queued);
    apply(store, 52, &[replayed(id, ignore("msg_00000", "a.type"))]).await;
    store.replays_queued(&held, at(53)).await.unwrap();
    store.replays_queued(&[], at(53)).await.unwrap();
    assert_eq!(events(store, id).await[0].step, ReplayStep::Done);
}

pub(super) async fn what_is_gone_is_settled_and_holds_up_nobody(database: &Database) {
    let store = &*database.store;
    let of = |event: &str, time| received(time, mirror(event, user("user_a", time, "Any")));
    apply(store, 9, &[of("msg_1", 1), of("msg_2", 2), of("msg_3", 3)]).await;
    let id = start_order(store, 10, &order(&["msg_1", "msg_2", "msg_3"])).await;
    database
        .execute("UPDATE events SET payload = NULL WHERE event_id = 'msg_1'")
        .await;
    database
        .execute("DELETE FROM events WHERE event_id = 'msg_2'")
        .await;
    assert!(lease(store, at(11)).await.is_empty());
    assert!(lease(store, at(12)).await.is_empty());
    assert_eq!(lease(store, at(13)).await, ["msg_3"]);
    let events = events(store, id).await;
    let gone = Some("payload_gone".to_owned());
    assert_eq!(events[0].outcome, gone);
    assert_eq!((&events[1].outcome, events[1].state), (&gone, None));
    assert_eq!(find(store, id).await.replay.done, 2);
}

pub(super) async fn nothing_is_written_while_nothing_runs(database: &Database) {
    let store = &*database.store;
    many(store, 2).await;
    assert_eq!(round(store, at(0)).await, ReplayRound::default());
    let id = start_all(store, 0, 100).await;
    let operator = hookmirror::model::operator::Operator::unknown();
    let mode = crate::support::given::for_real();
    store
        .cancel_replay(id, &operator, &mode, at(1))
        .await
        .unwrap();
    assert_eq!(round(store, at(2)).await, ReplayRound::default());
}
