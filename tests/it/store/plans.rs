//! No listing and no count reads the whole ledger: what the databases say of the statements, on a ledger
//! large enough that it matters.

use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use self::questions::questions;
use crate::support::directory::directory;
use crate::support::postgres::TestDatabase;

#[path = "../../../benches/ledger/questions.rs"]
mod questions;
#[path = "../../../benches/ledger/rows.rs"]
mod rows;

const ROWS: u64 = 50_000;
const FAILED: u64 = 5;
const PAYLOAD: usize = 350;

#[tokio::test]
async fn sqlite_answers_from_indexes() {
    let directory = directory();
    let path = directory.path().join("mirror.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.migrate().await.unwrap();
    let file = SqliteConnectOptions::new().filename(&path);
    let mut direct = SqliteConnection::connect_with(&file).await.unwrap();
    rows::fill_sqlite(&mut direct, 1_000, FAILED, PAYLOAD)
        .await
        .unwrap();
    // The first kind of all, of which one is taken; and all that fail, where a text is looked for.
    let allowed = [
        "SCAN events USING COVERING INDEX events_by_kind",
        "SCAN events USING INDEX events_by_fingerprint",
    ];
    for (question, filter) in questions(1_000) {
        let plan = store.explain(&filter).await.unwrap();
        let on_ledger = |line: &&String| {
            [" events", " e ", " n "]
                .iter()
                .any(|name| line.contains(name))
        };
        let searches = plan.iter().filter(on_ledger);
        let searches: Vec<&String> = searches
            .filter(|line| !allowed.contains(&line.as_str()))
            .collect();
        assert!(!searches.is_empty(), "{question}: {plan:#?}");
        for line in searches {
            assert!(
                line.starts_with("SEARCH"),
                "{question}: {line} in {plan:#?}"
            );
        }
        let text = plan.join("\n");
        assert!(!text.contains("SCAN events USING COVERING INDEX events_by_kind\nSCAN events"));
        // From kind to kind by all that makes one, not through all events of the state.
        if text.contains("RECURSIVE") {
            let step = "events_by_kind (state=? AND source=? AND event_type>?)";
            assert!(text.contains(step), "{question}: {plan:#?}");
        }
    }
}

#[tokio::test]
async fn postgres_answers_from_indexes() {
    let database = TestDatabase::migrated().await;
    rows::fill_postgres(&database.url, ROWS, FAILED, PAYLOAD)
        .await
        .unwrap();
    let store = database.store();
    for (question, filter) in questions(ROWS) {
        let plan = store.explain(&filter).await.unwrap();
        let text = plan.join("\n");
        assert!(text.contains("Index"), "{question}: {text}");
        assert!(!text.contains("Seq Scan on events"), "{question}: {text}");
    }
}
