//! Databases of versions before: of the one before payment facts, with something in every table; and of
//! the one before replays, with events that fail, while a worker of that version goes on.

use std::path::Path;

use hookmirror::model::entitlement::Rule;
use hookmirror::model::failure::GroupState;
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::outbox::{DeliveryState, Recipients};
use hookmirror::model::payment::Fact;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqlSafeStr, SqliteConnection};

use super::retention::erase_deleted;
use super::{apply, everything, record_of, report, state_of};
use crate::support::directory::directory;
use crate::support::given::{at, customer, key, mirror, refund, tell, user, user_id};
use crate::support::postgres::TestDatabase;

macro_rules! migrations_before {
    ($engine:literal) => {
        migrations([
            (
                "users",
                include_str!(concat!("../../../migrations/", $engine, "/0001_users.sql")),
            ),
            (
                "ledger",
                include_str!(concat!("../../../migrations/", $engine, "/0002_ledger.sql")),
            ),
            (
                "payments",
                include_str!(concat!(
                    "../../../migrations/",
                    $engine,
                    "/0003_payments.sql"
                )),
            ),
            (
                "outbox",
                include_str!(concat!("../../../migrations/", $engine, "/0004_outbox.sql")),
            ),
            (
                "retries",
                include_str!(concat!(
                    "../../../migrations/",
                    $engine,
                    "/0005_retries.sql"
                )),
            ),
        ])
    };
}

fn migrations(files: [(&'static str, &'static str); 5]) -> Migrator {
    let migrations = (1..).zip(files).map(|(version, (name, sql))| {
        let kind = MigrationType::Simple;
        Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// The same text in both engines.
const ROWS: [&str; 7] = [
    "INSERT INTO users (id, email_verified, banned, locked, public_metadata, private_metadata, \
     unsafe_metadata, updated_at, data, revision, synced_at) VALUES ('user_a', TRUE, FALSE, FALSE, \
     '{}', '{}', '{}', '2026-01-01T00:00:00.000Z', '{}', '0', '2026-01-01T00:00:00.000Z')",
    "INSERT INTO user_tombstones VALUES ('user_z', '2026-01-01T00:00:00.000Z')",
    "INSERT INTO events (source, event_id, event_type, subject, state, outcome, deliveries, \
     attempts, received_at, applied_at) VALUES \
     ('stripe', 'evt_1', 'checkout.session.completed', 'cs_1', 'applied', 'payment_recorded', 1, 1, \
     '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'), \
     ('stripe', 'evt_2', 'checkout.session.completed', 'cs_2', 'waiting', 'payment_unattributed', 1, \
     1, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z')",
    "INSERT INTO event_attempts VALUES ('stripe', 'evt_2', 1, '2026-01-01T00:00:00.000Z', 'webhook', \
     'waiting', 'payment_unattributed', NULL)",
    "INSERT INTO checkout_sessions (id, user_id, named_user_id, named_at, customer, payment_intent, \
     mode, status, payment, amount_total, currency, livemode, created_at, updated_at) VALUES \
     ('cs_1', 'user_a', 'user_a', '2026-01-01T00:00:00.000Z', NULL, 'pi_1', 'payment', 'complete', \
     'paid', 4900, 'eur', TRUE, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'), \
     ('cs_2', NULL, NULL, NULL, 'cus_2', 'pi_2', 'payment', 'complete', \
     'paid', 4900, 'eur', TRUE, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z')",
    "INSERT INTO entitlements VALUES ('user_a', TRUE, 'paid', 'complete', 'as it was said then', \
     'cs_1', NULL, '2026-01-01T00:00:00.000Z')",
    "INSERT INTO outbox VALUES ('user_a', 'delivered', \
     '{\"stripe\":{\"paid\":true,\"payment\":\"paid\",\"status\":\"complete\"}}', \
     '{\"stripe\":{\"paid\":true,\"payment\":\"paid\",\"status\":\"complete\"}}', 0, 1, NULL, NULL, \
     NULL, '2026-01-01T00:00:00.000Z')",
];

async fn fill<C: Migrate>(connection: &mut C, before: &Migrator, rows: &[&'static str])
where
    for<'c> &'c mut C: sqlx::Executor<'c>,
{
    before
        .run_direct(None, &mut *connection, false)
        .await
        .unwrap();
    for row in rows {
        sqlx::Executor::execute(&mut *connection, *row)
            .await
            .ok()
            .unwrap();
    }
}

async fn goes_on(store: &dyn Store) {
    let pending = store.pending_migrations().await.unwrap();
    assert_eq!(store.migrate().await.unwrap(), pending);
    assert_eq!(pending[0], "0006_operators");
    assert_eq!(everything(store).await.len(), 2);

    // The verdict of then is derived anew, and Clerk need not be told what it holds.
    assert_eq!(store.reassess(at(1)).await.unwrap(), 1);
    let found = report(store, "user_a").await;
    assert_eq!(found.entitlement.unwrap().rule, Some(Rule::CheckoutPaid));
    assert_eq!(found.outbox.unwrap().state, DeliveryState::Delivered);
    assert_eq!(store.next_outbox_due(&Recipients::All).await.unwrap(), None);

    // What was stored then hangs together with what comes now.
    let facts = [
        tell("evt_3", Fact::Refund(refund("re_1", "pi_1"))),
        tell("evt_4", Fact::Customer(customer("cus_2", "user_b", 0))),
        mirror("msg_1", user("user_a", 1, "Ann")),
    ];
    apply(store, 2, &facts).await;
    let found = report(store, "user_a").await;
    assert_eq!(found.entitlement.unwrap().rule, Some(Rule::RefundedInFull));
    assert!(report(store, "user_b").await.entitlement.unwrap().paid);
    assert_eq!(state_of(store, "evt_2").await, EventState::Applied);
    let leases = store.lease_outbox(&Recipients::All, 9, at(3), at(9)).await;
    let mut users: Vec<_> = leases
        .unwrap()
        .into_iter()
        .map(|lease| lease.user_id)
        .collect();
    users.sort();
    assert_eq!(users, [user_id("user_a"), user_id("user_b")]);
}

#[tokio::test]
async fn a_file_of_the_version_before_goes_on() {
    let directory = directory();
    let path = directory.path().join("mirror.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    fill(&mut connection, &migrations_before!("sqlite"), &ROWS).await;
    connection.close().await.unwrap();
    goes_on(&SqliteStore::open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn a_database_on_a_server_of_the_version_before_goes_on() {
    let database = TestDatabase::empty().await;
    let mut connection = database.stranger().await;
    fill(&mut connection, &migrations_before!("postgres"), &ROWS).await;
    goes_on(&database.store()).await;
}

/// The migrations of the version before replays.
async fn before_replays(engine: &str) -> Migrator {
    let directory = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
    let all = Migrator::new(Path::new(&directory)).await.unwrap();
    let known = all.iter().filter(|migration| migration.version <= 8);
    Migrator::with_migrations(known.cloned().collect())
}

/// The same text in both engines.
const FAILING: [&str; 2] = [
    "INSERT INTO user_tombstones (id, deleted_at) VALUES ('user_z', '2026-01-01T00:00:00.000Z')",
    "INSERT INTO events (source, event_id, event_type, subject, state, outcome, deliveries, attempts, \
     last_error, fingerprint, received_at, applied_at, next_attempt_at) VALUES \
     ('stripe', 'evt_1', 'a.type', NULL, 'failed', 'payload_invalid', 1, 3, 'it was so', 'aa', \
     '2026-01-01T00:00:00.000Z', NULL, NULL), \
     ('stripe', 'evt_2', 'a.type', NULL, 'failed', 'payload_invalid', 1, 1, 'it is so', 'aa', \
     '2026-01-02T00:00:00.000Z', NULL, NULL), \
     ('gone', 'evt_3', 'a.type', NULL, 'retrying', 'source_unknown', 1, 2, 'not known', 'bb', \
     '2026-01-03T00:00:00.000Z', NULL, '2026-01-03T01:00:00.000Z'), \
     ('clerk', 'msg_1', 'user.deleted', 'user_z', 'applied', 'user_deleted', 1, 1, NULL, NULL, \
     '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', NULL)",
];

/// What a worker of that version writes, word for word but for what it binds.
const OLD_WORKER: [&str; 2] = [
    "INSERT INTO user_tombstones (id, deleted_at) VALUES ('user_y', '2026-01-01T00:00:00.000Z')",
    "INSERT INTO events (source, event_id, event_type, subject, state, outcome, deliveries, attempts, \
     last_error, fingerprint, received_at, applied_at, next_attempt_at, payload) VALUES \
     ('stripe', 'evt_4', 'a.type', NULL, 'failed', 'payload_invalid', 1, 1, 'it is so', 'aa', \
     '2026-01-04T00:00:00.000Z', NULL, NULL, NULL)",
];

async fn failures_go_on(store: &dyn Store) {
    let pending = store.pending_migrations().await.unwrap();
    assert_eq!(pending[0], "0009_findings");
    assert_eq!(store.migrate().await.unwrap(), pending);

    let groups = store.list_failures(&[GroupState::Open], 9).await.unwrap();
    let told: Vec<_> = groups
        .iter()
        .map(|group| {
            let counts = (group.failed, group.retrying, group.occurrences);
            (group.fingerprint.as_str(), group.kind.as_str(), counts)
        })
        .collect();
    let expected = [
        ("aa", "payload_invalid", (2, 0, 4)),
        ("bb", "source_unknown", (0, 1, 2)),
    ];
    assert_eq!(told, expected);
    assert_eq!(groups[0].example, key("evt_2"));
    assert_eq!(groups[0].last_error, "it is so");
    assert!(groups[0].first_seen < groups[0].last_seen);
}

async fn a_worker_of_then_is_understood(store: &dyn Store) {
    let groups = store.list_failures(&[], 9).await.unwrap();
    assert_eq!((groups[0].failed, groups[0].occurrences), (3, 4));
    assert_eq!(
        record_of(store, "evt_4").await.headers,
        KeptHeaders::default()
    );
    // Deletions that it recorded have their grace from the first sweep on.
    assert_eq!(erase_deleted(store, 4999, 5000).await, 0);
    assert_eq!(
        store.overdue(at(0)).await.unwrap().oldest_deletion,
        Some(at(5000))
    );
}

#[tokio::test]
async fn a_file_of_the_version_before_replays_goes_on() {
    let directory = directory();
    let path = directory.path().join("mirror.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    fill(&mut connection, &before_replays("sqlite").await, &FAILING).await;
    let store = SqliteStore::open(&path).await.unwrap();
    failures_go_on(&store).await;
    for row in OLD_WORKER {
        sqlx::query(row).execute(&mut connection).await.unwrap();
    }
    a_worker_of_then_is_understood(&store).await;
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_database_on_a_server_of_the_version_before_replays_goes_on() {
    let database = TestDatabase::empty().await;
    let mut connection = database.stranger().await;
    fill(&mut connection, &before_replays("postgres").await, &FAILING).await;
    let store = database.store();
    failures_go_on(&store).await;
    for row in OLD_WORKER {
        sqlx::query(row).execute(&mut connection).await.unwrap();
    }
    a_worker_of_then_is_understood(&store).await;
}
