//! What is particular to SQLite: its files, its schema as others read it, its ways to fail.

use std::path::Path;

use hookmirror::store::sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use tempfile::TempDir;

mod full_disk;
mod infrastructure;
mod migrations;
mod schema;
mod traces;

const FILE: &str = "mirror.db";

async fn open(directory: &TempDir) -> SqliteStore {
    SqliteStore::open(&directory.path().join(FILE))
        .await
        .unwrap()
}

/// Somebody else's connection to the same file.
async fn stranger(directory: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(directory.join(FILE));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn execute(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

/// The first column of all rows, as text.
async fn texts(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}
