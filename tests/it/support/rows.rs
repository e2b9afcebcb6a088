//! All that a database holds, for who compares it with what it held before.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, SqliteConnection};

/// A row, with its table.
pub(crate) type Rows = Vec<(String, Value)>;

/// Every row of every table but `except`, in a fixed order.
pub(crate) async fn of_sqlite(connection: &mut SqliteConnection, except: &[&str]) -> Rows {
    let mut rows = Vec::new();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    for table in tables
        .iter()
        .filter(|name| !except.contains(&name.as_str()))
    {
        let columns = format!(
            "SELECT quote(name) || ', ' || CASE type WHEN 'BLOB' THEN 'hex(' || name || ')' \
             ELSE name END FROM pragma_table_info('{table}')"
        );
        let columns: Vec<String> = sqlx::query_scalar(AssertSqlSafe(columns))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let columns = columns.join(", ");
        let sql = format!("SELECT json_object({columns}) AS row FROM {table} ORDER BY 1");
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let found = found.iter().map(|row| serde_json::from_str(row).unwrap());
        rows.extend(found.map(|row| (table.clone(), row)));
    }
    rows
}

/// The same on a server.
pub(crate) async fn of_postgres(connection: &mut PgConnection, except: &[&str]) -> Rows {
    let mut rows = Vec::new();
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    for table in tables
        .iter()
        .filter(|name| !except.contains(&name.as_str()))
    {
        let sql = format!("SELECT to_jsonb(t)::text FROM {table} AS t ORDER BY 1");
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let found = found.iter().map(|row| serde_json::from_str(row).unwrap());
        rows.extend(found.map(|row| (table.clone(), row)));
    }
    rows
}
