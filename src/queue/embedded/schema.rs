//! The schema of the queue's file.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqliteConnection};

const MIGRATIONS: [(i64, &str, &str); 3] = [
    (
        1,
        "messages",
        include_str!("../../../migrations/queue/0001_messages.sql"),
    ),
    (
        2,
        "dead letters",
        include_str!("../../../migrations/queue/0002_dead_letters.sql"),
    ),
    (
        3,
        "origins",
        include_str!("../../../migrations/queue/0003_origins.sql"),
    ),
];

/// Brings the file to the schema that this version knows.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let migrations = MIGRATIONS
        .into_iter()
        .map(|(version, name, sql)| {
            Migration::new(
                version,
                Cow::Borrowed(name),
                MigrationType::Simple,
                sql.into_sql_str(),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
        .run(connection)
        .await
        .map_err(sqlx::Error::from)
}
