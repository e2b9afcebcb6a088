//! A database of the version before payment facts, with something in every table.

use hookmirror::model::entitlement::Rule;
use hookmirror::model::outbox::{DeliveryState, Recipients};
use hookmirror::model::payment::Fact;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqlSafeStr, SqliteConnection};

use super::{apply, everything, report, state_of};
use crate::support::directory::directory;
use crate::support::given::{at, customer, mirror, refund, tell, user, user_id};
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

async fn fill<C: Migrate>(connection: &mut C, before: &Migrator)
where
    for<'c> &'c mut C: sqlx::Executor<'c>,
{
    before
        .run_direct(None, &mut *connection, false)
        .await
        .unwrap();
    for row in ROWS {
        sqlx::Executor::execute(&mut *connection, row)
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
    fill(&mut connection, &migrations_before!("sqlite")).await;
    connection.close().await.unwrap();
    goes_on(&SqliteStore::open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn a_database_on_a_server_of_the_version_before_goes_on() {
    let database = TestDatabase::empty().await;
    let mut connection = database.stranger().await;
    fill(&mut connection, &migrations_before!("postgres")).await;
    goes_on(&database.store()).await;
}
