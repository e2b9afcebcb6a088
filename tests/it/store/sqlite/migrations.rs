//! From no schema to the one that this version knows.

use hookmirror::model::outbox::Recipients;
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::store::{Store, StoreError};

use super::{FILE, execute, open, stranger};
use crate::store::apply;
use crate::support::directory::directory;
use crate::support::given::{mirror, user, user_id};

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
async fn a_fresh_file_gets_all_of_them_once() {
    let directory = directory();
    let store = open(&directory).await;
    assert_eq!(store.pending_migrations().await.unwrap(), ALL);
    assert_eq!(store.migrate().await.unwrap(), ALL);
    assert!(store.pending_migrations().await.unwrap().is_empty());

    apply(&store, 0, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    assert!(store.migrate().await.unwrap().is_empty());
    assert_eq!(super::super::everything(&store).await.len(), 1);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused_and_left_alone() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    execute(
        &mut stranger,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99, 'from the future', TRUE, x'00', 1)",
    )
    .await;

    let error = store.pending_migrations().await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
}

#[tokio::test]
async fn a_migration_that_was_edited_later_is_refused() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    execute(
        &mut stranger,
        "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 2",
    )
    .await;
    // Those who only look are told as well, and not first when something starts.
    let error = store.pending_migrations().await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    let directory = directory();
    let store = open(&directory).await;
    let mut stranger = stranger(directory.path()).await;
    execute(&mut stranger, "CREATE TABLE users (name TEXT)").await;

    let error = store.pending_migrations().await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    // Nothing of ours was begun: the other program's table is still the only one.
    execute(&mut stranger, "DROP TABLE users").await;
    assert_eq!(store.migrate().await.unwrap(), ALL);
}

#[tokio::test]
async fn processes_that_start_together_both_find_the_schema() {
    for _ in 0..5 {
        let directory = directory();
        let (one, other) = (open(&directory).await, open(&directory).await);
        let (first, second) = tokio::join!(one.migrate(), other.migrate());
        first.unwrap();
        second.unwrap();
        assert!(one.pending_migrations().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made_by_looking() {
    let directory = directory();
    let path = directory.path().join("deeper").join(FILE);
    assert!(SqliteStore::open_existing(&path).await.unwrap().is_none());
    assert!(!path.parent().unwrap().exists());
    SqliteStore::open(&path).await.unwrap().close().await;
    let found = SqliteStore::open_existing(&path).await.unwrap();
    assert_eq!(found.unwrap().pending_migrations().await.unwrap(), ALL);
}

/// SQLite cannot alter a check, so the outbox is made anew.
#[tokio::test]
async fn the_outbox_of_the_version_before_is_kept() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    for statement in [
        "DROP TABLE operator_actions",
        "DROP TABLE outbox",
        "DROP TABLE outbox_attempts",
        include_str!("../../../../migrations/sqlite/0004_outbox.sql"),
        "INSERT INTO outbox VALUES ('user_a', 'pending', '{}', NULL, 3, 7, NULL, \
         '2026-01-02T00:00:00.000Z', 'no answer', '2026-01-01T00:00:00.000Z')",
        "DELETE FROM _sqlx_migrations WHERE version = 6",
    ] {
        execute(&mut stranger, statement).await;
    }
    store.migrate().await.unwrap();
    let found = store.find_outbox(&user_id("user_a"), 1).await.unwrap();
    let found = found.unwrap();
    assert_eq!((found.entry.failures, found.leases), (3, 7));
    assert_eq!(found.entry.last_error.as_deref(), Some("no answer"));
    assert_eq!(found.entry.desired_at, found.entry.updated_at);
    assert_eq!(
        store.next_outbox_due(&Recipients::All).await.unwrap(),
        found.entry.next_attempt_at
    );
}
