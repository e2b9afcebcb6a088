//! A database that cannot be used is no event's fault.

use hookmirror::model::changes::Planned;
use hookmirror::model::payment::CheckoutSession;
use hookmirror::model::state::EventState;
use hookmirror::store::{Store, StoreError};

use super::{execute, open, stranger, texts};
use crate::store::{apply, everything, outcomes, report, state_of};
use crate::support::directory::directory;
use crate::support::given::{at, by_customer, ignore, mirror, record, session, session_of, user};

fn refused(event: &str) -> Planned {
    let session = CheckoutSession {
        id: "x".repeat(300),
        ..session_of("cs", "user_r")
    };
    Planned {
        subject: None,
        ..record(event, session)
    }
}

#[tokio::test]
async fn what_fails_half_way_writes_nothing() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    // The last table that a batch writes to is gone; all others are there.
    execute(&mut stranger, "ALTER TABLE outbox RENAME TO elsewhere").await;

    // Also where a refused value has the batch split: its parts stand or fall together.
    let batch = [
        ignore("evt_0", "a.type"),
        ignore("evt_1", "a.type"),
        refused("evt_2"),
        record("evt_3", session_of("cs_2", "user_a")),
    ];
    for part in [&batch[..], &batch[3..]] {
        let error = store.apply(part, at(0)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    assert!(everything(&store).await.is_empty());
    for table in ["checkout_sessions", "entitlements", "event_attempts"] {
        let sql = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}");
        assert_eq!(texts(&mut stranger, &sql).await, ["0"], "{table}");
    }

    execute(&mut stranger, "ALTER TABLE elsewhere RENAME TO outbox").await;
    apply(&store, 1, &batch).await;
    assert_eq!(everything(&store).await.len(), 4);
    assert_eq!(state_of(&store, "evt_3").await, EventState::Applied);
    let summary = crate::store::record_of(&store, "evt_3").await.summary;
    assert_eq!((summary.deliveries, summary.attempts), (1, 1), "no charge");
}

#[tokio::test]
async fn a_row_damaged_by_hand_stops_only_what_is_about_it() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let first = by_customer("cus_1", session_of("cs_1", "user_a"));
    apply(&store, 0, &[record("evt_1", first)]).await;
    let mut stranger = stranger(directory.path()).await;
    execute(
        &mut stranger,
        "UPDATE checkout_sessions SET created_at = 'yesterday'",
    )
    .await;

    let batch = [
        mirror("msg_1", user("user_b", 1, "Bob")),
        record("evt_2", by_customer("cus_1", session("cs_2"))),
        record("evt_3", session_of("cs_3", "user_b")),
    ];
    let words: Vec<&str> = outcomes(&store, 1, &batch)
        .await
        .iter()
        .map(|outcome| outcome.as_str())
        .collect();
    assert_eq!(words, ["user_mirrored", "row_damaged", "payment_recorded"]);
    assert!(report(&store, "user_b").await.entitlement.unwrap().paid);
}

#[tokio::test]
async fn a_closed_database_says_so() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
    store.close().await;
    assert!(store.ping().await.is_err());
    let batch = [mirror("msg_1", user("user_a", 1, "Ann"))];
    assert!(store.apply(&batch, at(0)).await.is_err());
}

#[tokio::test]
async fn a_directory_in_the_place_of_the_file_is_an_error() {
    let directory = directory();
    std::fs::create_dir(directory.path().join(super::FILE)).unwrap();
    let path = directory.path().join(super::FILE);
    let error = hookmirror::store::sqlite::SqliteStore::open(&path)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}
