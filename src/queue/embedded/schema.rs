//! The schema of the queue's file.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqliteConnection};

/// Brings the file to the schema that this version knows.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let messages = Migration::new(
        1,
        Cow::Borrowed("messages"),
        MigrationType::Simple,
        include_str!("../../../migrations/queue/0001_messages.sql").into_sql_str(),
        false,
    );
    Migrator::with_migrations(vec![messages])
        .run(connection)
        .await
        .map_err(sqlx::Error::from)
}
