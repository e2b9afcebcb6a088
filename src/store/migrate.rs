//! The migrations, compiled in, so that the program needs no file beside it.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The same numbers and names in every engine.
const SQLITE: [(i64, &str, &str); 5] = [
    (
        1,
        "users",
        include_str!("../../migrations/sqlite/0001_users.sql"),
    ),
    (
        2,
        "ledger",
        include_str!("../../migrations/sqlite/0002_ledger.sql"),
    ),
    (
        3,
        "payments",
        include_str!("../../migrations/sqlite/0003_payments.sql"),
    ),
    (
        4,
        "outbox",
        include_str!("../../migrations/sqlite/0004_outbox.sql"),
    ),
    (
        5,
        "retries",
        include_str!("../../migrations/sqlite/0005_retries.sql"),
    ),
];

/// The migrations of the SQLite engine.
pub(super) fn sqlite() -> Migrator {
    let migrations = SQLITE
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
}

/// How a migration is called in messages: like its file.
pub(super) fn name(migration: &Migration) -> String {
    format!("{:04}_{}", migration.version, migration.description)
}
