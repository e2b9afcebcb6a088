//! A server that cannot be used is no event's fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmirror::store::postgres::PostgresStore;
use hookmirror::store::{Store, StoreError};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{assert_unavailable, execute, texts};
use crate::store::{apply, everything};
use crate::support::given::{at, ignore, mirror, record, session_of, user};
use crate::support::postgres::{Postgres, TestDatabase};

/// Longer than a call may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// What was said, with all causes.
fn told(error: &StoreError) -> String {
    hookmirror::error_chain::ErrorChain(error).to_string()
}

/// Waits until so many wait for a lock.
async fn until_waiting(url: &str, calls: usize) {
    let mut watcher = PgConnection::connect(url).await.unwrap();
    let begun = Instant::now();
    let waiting = "SELECT query FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while texts(&mut watcher, waiting).await.len() < calls {
        assert!(begun.elapsed() < PATIENCE, "they do not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_fails_half_way_writes_nothing() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let mut stranger = database.stranger().await;
    // The last table that a batch writes to is gone; all others are there.
    execute(
        &mut stranger,
        "ALTER TABLE event_attempts RENAME TO elsewhere",
    )
    .await;
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        record("evt_1", session_of("cs_1", "user_a")),
        crate::support::given::failing("msg_2", "user.updated", "data.id"),
    ];
    assert_unavailable(&store.apply(&batch, at(0)).await.unwrap_err());
    for table in ["users", "checkout_sessions", "outbox", "events"] {
        let sql = format!("SELECT COUNT(*)::text FROM {table}");
        assert_eq!(texts(&mut stranger, &sql).await, ["0"], "{table}");
    }
    execute(
        &mut stranger,
        "ALTER TABLE elsewhere RENAME TO event_attempts",
    )
    .await;
    apply(&store, 1, &batch).await;
    let summary = crate::store::record_of(&store, "evt_1").await.summary;
    assert_eq!((summary.deliveries, summary.attempts), (1, 1), "no charge");
}

#[tokio::test]
async fn a_server_that_is_killed_keeps_all_or_nothing_and_is_used_again() {
    let mut postgres = Postgres::start().await;
    let store = Arc::new(PostgresStore::connect(&postgres.url("postgres")).unwrap());
    store.migrate().await.unwrap();
    apply(&*store, 0, &[ignore("evt_0", "a.type")]).await;

    let mut stranger = PgConnection::connect(&postgres.url("postgres"))
        .await
        .unwrap();
    execute(&mut stranger, "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE").await;
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        record("evt_1", session_of("cs_1", "user_a")),
    ];
    let applying = {
        let (store, batch) = (Arc::clone(&store), batch.clone());
        tokio::spawn(async move { store.apply(&batch, at(0)).await })
    };
    until_waiting(&postgres.url("postgres"), 1).await;
    postgres.kill();
    assert_unavailable(&applying.await.unwrap().unwrap_err());
    let error = store.ping().await.unwrap_err();
    assert_unavailable(&error);
    assert!(told(&error).contains("refused"), "{}", told(&error));

    postgres.restart().await;
    store.ping().await.unwrap();
    assert_eq!(everything(&*store).await.len(), 1, "nothing half written");
    let user_a = crate::support::given::user_id("user_a");
    assert_eq!(store.find_user(&user_a).await.unwrap(), None);
    apply(&*store, 1, &batch).await;
    assert_eq!(everything(&*store).await.len(), 3);
    store.close().await;
}

#[tokio::test]
async fn a_server_that_ends_a_migration_is_away_and_the_schema_is_not_wrong() {
    let database = TestDatabase::empty().await;
    let store = Arc::new(database.store());
    let mut stranger = database.stranger().await;
    execute(&mut stranger, "BEGIN; CREATE TABLE users ()").await;
    let migrating = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.migrate().await })
    };
    until_waiting(&database.url, 1).await;
    let mut operator = database.stranger().await;
    execute(
        &mut operator,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .await;
    assert_unavailable(&migrating.await.unwrap().unwrap_err());
    execute(&mut stranger, "ROLLBACK").await;
    store.migrate().await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_in_bounded_time() {
    let postgres = Postgres::start().await;
    let store = PostgresStore::connect(&postgres.url("postgres")).unwrap();
    store.migrate().await.unwrap();
    postgres.pause();
    let answer = tokio::time::timeout(PATIENCE, store.ping()).await;
    assert_unavailable(&answer.unwrap().unwrap_err());
    postgres.resume();
    store.ping().await.unwrap();
}

/// A wire to the server that can go silent: who is on it stays connected and hears nothing more. Who
/// comes later has a wire that works.
struct Wire {
    url: String,
    silent: watch::Sender<()>,
}

impl Wire {
    async fn to(database: &TestDatabase) -> Self {
        let (before, name) = database.url.rsplit_once('/').unwrap();
        let server = before.rsplit('@').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = watch::Sender::new(());
        let signal = silent.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&server).await.unwrap();
                let mut silent = signal.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = silent.changed() => std::future::pending().await,
                    }
                });
            }
        });
        let url = format!("postgres://postgres@127.0.0.1:{port}/{name}");
        Self { url, silent }
    }
}

#[tokio::test]
async fn a_call_on_a_wire_gone_silent_ends_and_gives_its_connection_up() {
    let database = TestDatabase::migrated().await;
    let wire = Wire::to(&database).await;
    let store = Arc::new(PostgresStore::connect(&wire.url).unwrap());
    let mut stranger = database.stranger().await;
    execute(&mut stranger, "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE").await;
    // As many as there are connections: the store must get every one of them back.
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let store = Arc::clone(&store);
            let batch = [ignore(&format!("evt_{number}"), "a.type")];
            tokio::spawn(async move { store.apply(&batch, at(0)).await })
        })
        .collect();
    until_waiting(&database.url, 8).await;
    wire.silent.send_replace(());
    for call in calls {
        let answer = tokio::time::timeout(PATIENCE, call).await.unwrap();
        assert_unavailable(&answer.unwrap().unwrap_err());
    }
    execute(&mut stranger, "ROLLBACK").await;
    let answer = tokio::time::timeout(PATIENCE, async {
        while store.ping().await.is_err() {}
        apply(&*store, 1, &[ignore("evt_9", "a.type")]).await;
    });
    answer.await.unwrap();
}

#[tokio::test]
async fn the_server_need_not_be_up_and_says_why_it_is_not() {
    let port = crate::support::server::free_port();
    let url = format!("postgres://somebody:s3cret@127.0.0.1:{port}/mirror");
    let store = PostgresStore::connect(&url).unwrap();
    let error = store.ping().await.unwrap_err();
    assert_unavailable(&error);
    let told = format!("{} {error:?} {store:?}", told(&error));
    assert!(told.contains("refused"), "{told}");
    assert!(!told.contains("s3cret"), "tells the password");
}

#[tokio::test]
async fn an_address_that_makes_no_sense_is_not_repeated() {
    for url in [
        "postgres://somebody:s3cret@host:99999/mirror",
        "postgres://somebody:s3cret@host/mirror?sslmode=s3cret-mode",
    ] {
        let error = PostgresStore::connect(url).unwrap_err();
        assert_unavailable(&error);
        let told = format!("{} {error:?}", told(&error));
        assert!(!told.contains("somebody:s3cret"), "{told}");
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so_and_not_to_wait() {
    let database = TestDatabase::migrated().await;
    let missing = format!("{}_is_not_there", database.url);
    let stranger = database.url_of_stranger().await;
    for url in [missing, stranger] {
        let store = PostgresStore::connect(&url).unwrap();
        for error in [
            store.ping().await.unwrap_err(),
            store.migrate().await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
            assert!(!told(&error).contains("not-the-password"));
        }
    }
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_no_good() {
    let database = TestDatabase::migrated().await;
    database.store().ping().await.unwrap();
    let name = database.url.rsplit('/').next().unwrap();
    let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    execute(&mut database.stranger().await, &sql).await;
    let store = database.store();
    assert_unavailable(&store.ping().await.unwrap_err());
    let batch = [ignore("evt_1", "a.type")];
    assert_unavailable(&store.apply(&batch, at(0)).await.unwrap_err());
    assert_unavailable(&store.migrate().await.unwrap_err());
    assert!(everything(&store).await.is_empty());
}

#[tokio::test]
async fn sessions_keep_the_promises_whatever_the_servers_defaults() {
    for (default, kept) in [
        ("off", "on"),
        ("on", "on"),
        ("local", "local"),
        ("remote_apply", "remote_apply"),
    ] {
        let database = TestDatabase::migrated().await;
        let mut stranger = database.stranger().await;
        let name = database.url.rsplit('/').next().unwrap();
        let sql = format!(
            "ALTER DATABASE {name} SET synchronous_commit = {default};
             ALTER DATABASE {name} SET default_transaction_isolation = 'serializable';
             CREATE TABLE seen (setting text);
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO seen SELECT concat_ws(' ', current_setting('synchronous_commit'),
                     current_setting('transaction_isolation'),
                     current_setting('idle_in_transaction_session_timeout'),
                     current_setting('application_name'));
                 RETURN NEW;
             END $$;
             CREATE TRIGGER look BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION look()"
        );
        execute(&mut stranger, &sql).await;
        apply(&database.store(), 0, &[ignore("evt_1", "a.type")]).await;
        let seen = texts(&mut stranger, "SELECT setting FROM seen").await;
        assert_eq!(seen, [format!("{kept} read committed 1min hookmirror")]);
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    store.ping().await.unwrap();
    store.close().await;
    assert_unavailable(&store.ping().await.unwrap_err());
}
