//! Damage in a Postgres database: what its types allow, with every constraint gone.

use hookmirror::store::Store;
use hookmirror::store::postgres::PostgresStore;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::super::Inputs;
use super::{Column, Damaged, WORDS, tells_what_is_damaged};
use crate::support::postgres::TestDatabase;

struct Postgres {
    store: PostgresStore,
    stranger: PgConnection,
    _database: TestDatabase,
}

async fn fresh() -> Postgres {
    let database = TestDatabase::migrated().await;
    Postgres {
        store: database.store(),
        stranger: database.stranger().await,
        _database: database,
    }
}

impl Postgres {
    async fn execute(&mut self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.stranger);
        done.await.unwrap();
    }

    async fn statements(&mut self, sql: &'static str) {
        let rows = sqlx::query(sql).fetch_all(&mut self.stranger).await;
        for row in rows.unwrap() {
            self.execute(row.get(0)).await;
        }
    }
}

impl Damaged for Postgres {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn columns(&mut self) -> Vec<Column> {
        self.execute(
            "SET session_replication_role = replica; SET synchronous_commit = off; \
                      CREATE SCHEMA kept",
        )
        .await;
        self.statements(
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) \
             FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace",
        )
        .await;
        self.statements(
            "SELECT format('CREATE TABLE kept.%I AS SELECT * FROM public.%I', tablename, tablename) \
             FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'",
        )
        .await;
        let rows = sqlx::query(
            "SELECT table_name::text, column_name::text, udt_name::text FROM information_schema.columns \
             WHERE table_schema = 'kept' ORDER BY 1, ordinal_position",
        );
        let rows = rows.fetch_all(&mut self.stranger).await.unwrap();
        rows.iter()
            .map(|row| Column {
                table: row.get(0),
                name: row.get(1),
                kind: row.get(2),
            })
            .collect()
    }

    async fn damage(&mut self, column: &Column, bytes: &[u8]) -> bool {
        let Column { table, name, kind } = column;
        let value = String::from_utf8_lossy(bytes).replace('\0', "");
        let sql = format!(
            "UPDATE {table} SET \"{name}\" = CAST($1::text AS {kind}) \
             WHERE ctid = (SELECT MAX(ctid) FROM {table})"
        );
        let damaged = sqlx::query(AssertSqlSafe(sql)).bind(value);
        let damaged = damaged.execute(&mut self.stranger).await;
        damaged.is_ok_and(|done| done.rows_affected() > 0)
    }

    async fn mend(&mut self, column: &Column) {
        let table = &column.table;
        let restore =
            format!("INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept.{table}");
        self.execute(&format!("BEGIN; DELETE FROM {table}; {restore}; COMMIT"))
            .await;
    }
}

#[tokio::test]
async fn a_damaged_row_on_a_server_is_told_by_its_place() {
    // Every look at everything is some thirty statements.
    let inputs = Inputs::new("ledger-row", WORDS, []).fewer(4);
    tells_what_is_damaged(fresh().await, inputs).await;
}
