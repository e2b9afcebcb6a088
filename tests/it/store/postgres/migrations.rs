//! From no schema to the one that this version knows.

use hookmirror::model::payment::Fact;
use hookmirror::store::postgres::PostgresStore;
use hookmirror::store::{Store, StoreError};

use super::{assert_schema, execute, texts};
use crate::store::{apply, everything, report};
use crate::support::given::{
    by_customer, charge, customer, dispute, invoice, mirror, refund, session_of, subscription,
    tell, user,
};
use crate::support::postgres::TestDatabase;

const ALL: [&str; 13] = [
    "0001_users",
    "0002_ledger",
    "0003_payments",
    "0004_outbox",
    "0005_retries",
    "0006_operators",
    "0007_payment_facts",
    "0008_user_sources",
    "0009_findings",
    "0010_replays",
    "0011_pauses",
    "0012_erasure",
    "0013_origins",
];

#[tokio::test]
async fn a_fresh_database_gets_all_of_them_once() {
    let database = TestDatabase::empty().await;
    let store = database.store();
    assert_eq!(store.pending_migrations().await.unwrap(), ALL);
    assert_eq!(store.migrate().await.unwrap(), ALL);
    assert!(store.pending_migrations().await.unwrap().is_empty());

    apply(&store, 0, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    assert!(store.migrate().await.unwrap().is_empty());
    assert_eq!(everything(&store).await.len(), 1);
}

#[tokio::test]
async fn of_ten_processes_that_start_together_one_migrates() {
    for _ in 0..3 {
        let database = TestDatabase::empty().await;
        let migrations: Vec<_> = (0..10)
            .map(|_| {
                let store = database.store();
                tokio::spawn(async move { store.migrate().await.unwrap() })
            })
            .collect();
        let mut applied = Vec::new();
        for migration in migrations {
            applied.extend(migration.await.unwrap());
        }
        assert_eq!(applied, ALL, "each once");
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused_and_left_alone() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    execute(
        &mut database.stranger().await,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99, 'from the future', TRUE, '\\x00', 1)",
    )
    .await;
    assert_schema(&store.pending_migrations().await.unwrap_err());
    assert_schema(&store.migrate().await.unwrap_err());
}

#[tokio::test]
async fn a_migration_that_was_edited_later_is_refused() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    execute(
        &mut database.stranger().await,
        "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2",
    )
    .await;
    assert_schema(&store.pending_migrations().await.unwrap_err());
    assert_schema(&store.migrate().await.unwrap_err());
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    let database = TestDatabase::empty().await;
    let store = database.store();
    let mut stranger = database.stranger().await;
    execute(&mut stranger, "CREATE TABLE outbox (name text)").await;
    assert_schema(&store.pending_migrations().await.unwrap_err());
    assert_schema(&store.migrate().await.unwrap_err());
    // Nothing of ours was begun: the other program's table is still the only one.
    let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(texts(&mut stranger, sql).await, ["outbox"]);
}

#[tokio::test]
async fn who_may_not_create_tables_is_told_so() {
    let database = TestDatabase::empty().await;
    let name = database.url.rsplit('/').next().unwrap();
    let sql = format!("CREATE ROLE reader_of_{name} LOGIN");
    execute(&mut database.stranger().await, &sql).await;
    let url = database
        .url
        .replace("//postgres@", &format!("//reader_of_{name}@"));
    let error = PostgresStore::connect(&url).unwrap().migrate().await;
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::Forbidden(_)), "{error:?}");
}

#[tokio::test]
async fn another_schema_on_the_search_path_is_not_ours() {
    let database = TestDatabase::migrated().await;
    execute(&mut database.stranger().await, "CREATE SCHEMA own").await;
    let url = format!("{}?options=-csearch_path%3Down,public", database.url);
    let store = PostgresStore::connect(&url).unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), ALL);
    assert_eq!(store.migrate().await.unwrap(), ALL);
    apply(&store, 0, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    assert_eq!(everything(&store).await.len(), 1);
    assert!(everything(&database.store()).await.is_empty());
}

/// Rows of every kind are read before and after, by statements that the server knows by then.
#[tokio::test]
async fn a_newer_version_may_add_columns_while_this_one_runs() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let facts = || {
        let bought = by_customer("cus_1", session_of("cs_1", "user_a"));
        [
            Fact::CheckoutSession(bought),
            Fact::Subscription(subscription("sub_1")),
            Fact::Invoice(invoice("in_1")),
            Fact::Charge(charge("ch_1", "pi_1")),
            Fact::Refund(refund("re_1", "pi_1")),
            Fact::Dispute(dispute("dp_1", "pi_1")),
            Fact::Customer(customer("cus_1", "user_a", 0)),
        ]
    };
    let tell = |(n, fact)| tell(&format!("evt_{n}"), fact);
    let before: Vec<_> = (0..).zip(facts()).map(tell).collect();
    apply(&store, 0, &before).await;
    apply(
        &store,
        0,
        &(10..).zip(facts()).map(tell).collect::<Vec<_>>(),
    )
    .await;

    let mut newer = database.stranger().await;
    let sql = "SELECT DISTINCT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    for table in texts(&mut newer, sql).await {
        let sql = format!("ALTER TABLE {table} ADD COLUMN later text");
        execute(&mut newer, &sql).await;
    }
    apply(
        &store,
        1,
        &(20..).zip(facts()).map(tell).collect::<Vec<_>>(),
    )
    .await;
    assert!(report(&store, "user_a").await.entitlement.is_some());
}
