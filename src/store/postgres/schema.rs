//! The schema: which migrations it has, and those it lacks.

use std::collections::HashMap;

use sqlx::PgConnection;
use sqlx::migrate::MigrateError;

use super::super::migrate;
use super::super::problem::{is_forbidden, is_of_schema, unavailable};
use super::{PostgresStore, StoreError};

/// Taken by whoever migrates, until that is committed.
const MIGRATION_LOCK: i64 = 0x686f_6f6b_6d69_6772;

/// Brings the schema up to date; answers the migrations it applied, by name.
pub(super) async fn migrate(store: &PostgresStore) -> Result<Vec<String>, StoreError> {
    // All in one transaction, under a lock: of processes that start together, one finds work and
    // the others find none left.
    let mut transaction = store.begin("begin to migrate").await?;
    sqlx::query(
        "SELECT set_config('lock_timeout', '0', TRUE), set_config('statement_timeout', '0', TRUE)",
    )
    .execute(&mut *transaction)
    .await
    .map_err(unavailable("begin to migrate"))?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(unavailable("wait for others that migrate it"))?;
    let pending = pending(&mut transaction).await?;
    // `run` itself cannot be awaited in a future that must be `Send` (sqlx, "implementation of
    // `Acquire` is not general enough"); this is what it calls.
    migrate::postgres()
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if !is_of_schema(&error) =>
            {
                unavailable("apply its migrations")(error)
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if is_forbidden(&error) =>
            {
                StoreError::Forbidden(error.into())
            }
            error => StoreError::Schema(error.into()),
        })?;
    transaction
        .commit()
        .await
        .map_err(unavailable("commit its migrations"))?;
    Ok(pending)
}

/// Migrations that are not applied yet, by name. Only the current schema counts: what another schema
/// on the search path holds is not ours.
pub(super) async fn pending(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    const TABLES: &str = "SELECT tablename::text FROM pg_tables \
         WHERE schemaname = current_schema() AND tablename = ANY($1) LIMIT 1";
    let action = "read which migrations it has";
    let known: Option<String> = sqlx::query_scalar(TABLES)
        .bind(["_sqlx_migrations"])
        .fetch_optional(&mut *connection)
        .await
        .map_err(unavailable(action))?;
    let applied: HashMap<i64, Vec<u8>> = if known.is_some() {
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
            .fetch_all(connection)
            .await
            .map_err(unavailable(action))?
            .into_iter()
            .collect()
    } else {
        let foreign: Option<String> = sqlx::query_scalar(TABLES)
            .bind(migrate::TELLTALE_TABLES)
            .fetch_optional(connection)
            .await
            .map_err(unavailable("read which tables it has"))?;
        if let Some(table) = foreign {
            return Err(migrate::foreign(&table, "database or a schema"));
        }
        HashMap::new()
    };
    migrate::pending(&migrate::postgres(), &applied)
}
