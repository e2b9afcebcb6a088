//! Damage in a SQLite file, whose columns hold any bytes at all.

use std::collections::BTreeSet;

use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use tempfile::TempDir;

use super::super::Inputs;
use super::{Column, Damaged, WORDS, tells_what_is_damaged};
use crate::support::directory::directory;

struct Sqlite {
    store: SqliteStore,
    stranger: SqliteConnection,
    _directory: TempDir,
}

async fn fresh() -> Sqlite {
    let directory = directory();
    let file = directory.path().join("mirror.db");
    let store = SqliteStore::open(&file).await.unwrap();
    store.migrate().await.unwrap();
    let options = SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(false)
        .pragma("ignore_check_constraints", "1");
    Sqlite {
        store,
        stranger: SqliteConnection::connect_with(&options).await.unwrap(),
        _directory: directory,
    }
}

impl Sqlite {
    async fn execute(&mut self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.stranger);
        done.await.unwrap();
    }
}

impl Damaged for Sqlite {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn columns(&mut self) -> Vec<Column> {
        let rows = sqlx::query(
            "SELECT t.name AS \"table\", c.name, c.type AS kind FROM pragma_table_list AS t, \
             pragma_table_info(t.name) AS c WHERE t.type = 'table' AND t.schema = 'main' \
             AND t.name NOT LIKE '%sql%' ORDER BY 1, c.cid",
        );
        let rows = rows.fetch_all(&mut self.stranger).await.unwrap();
        let columns: Vec<Column> = rows
            .iter()
            .map(|row| Column {
                table: row.get("table"),
                name: row.get("name"),
                kind: row.get("kind"),
            })
            .collect();
        let tables: BTreeSet<&str> = columns.iter().map(|column| &column.table[..]).collect();
        for table in tables {
            self.execute(&format!(
                "CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}"
            ))
            .await;
        }
        columns
    }

    async fn damage(&mut self, column: &Column, bytes: &[u8]) -> bool {
        let Column { table, name, kind } = column;
        let sql = format!("UPDATE OR IGNORE {table} SET \"{name}\" = CAST(? AS {kind})");
        let damaged = sqlx::query(AssertSqlSafe(sql)).bind(bytes);
        let damaged = damaged.execute(&mut self.stranger).await;
        damaged.is_ok_and(|done| done.rows_affected() > 0)
    }

    async fn mend(&mut self, column: &Column) {
        let table = &column.table;
        let restore = format!("INSERT INTO {table} SELECT * FROM kept_{table}");
        self.execute(&format!(
            "BEGIN IMMEDIATE; DELETE FROM {table}; {restore}; COMMIT"
        ))
        .await;
    }
}

#[tokio::test]
async fn a_damaged_row_in_a_file_is_told_by_its_place() {
    let inputs = Inputs::new("ledger-row", WORDS, []);
    tells_what_is_damaged(fresh().await, inputs).await;
}
