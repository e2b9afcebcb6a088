//! What is particular to Postgres: several writers at once, values that it refuses, servers that go
//! away.

use hookmirror::model::changes::Outcome;
use hookmirror::store::StoreError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

mod concurrency;
mod crowd;
mod infrastructure;
mod locks;
mod meeting_facts;
mod migrations;
mod replays;
mod schema;
mod sweeps;

const MIRRORED: Outcome = Outcome::UserMirrored;

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

/// The first column of all rows, which must be text.
async fn texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    sqlx::query(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

fn assert_schema(error: &StoreError) {
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
}

fn assert_unavailable(error: &StoreError) {
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}
