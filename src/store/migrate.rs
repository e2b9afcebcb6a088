//! The migrations, compiled in, so that the program needs no file beside it.

use std::borrow::Cow;
use std::collections::HashMap;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::StoreError;

/// The same numbers and names in every engine.
const SQLITE: [(i64, &str, &str); 13] = [
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
    (
        6,
        "operators",
        include_str!("../../migrations/sqlite/0006_operators.sql"),
    ),
    (
        7,
        "payment_facts",
        include_str!("../../migrations/sqlite/0007_payment_facts.sql"),
    ),
    (
        8,
        "user_sources",
        include_str!("../../migrations/sqlite/0008_user_sources.sql"),
    ),
    (
        9,
        "findings",
        include_str!("../../migrations/sqlite/0009_findings.sql"),
    ),
    (
        10,
        "replays",
        include_str!("../../migrations/sqlite/0010_replays.sql"),
    ),
    (
        11,
        "pauses",
        include_str!("../../migrations/sqlite/0011_pauses.sql"),
    ),
    (
        12,
        "erasure",
        include_str!("../../migrations/sqlite/0012_erasure.sql"),
    ),
    (
        13,
        "origins",
        include_str!("../../migrations/sqlite/0013_origins.sql"),
    ),
];

const POSTGRES: [(i64, &str, &str); 13] = [
    (
        1,
        "users",
        include_str!("../../migrations/postgres/0001_users.sql"),
    ),
    (
        2,
        "ledger",
        include_str!("../../migrations/postgres/0002_ledger.sql"),
    ),
    (
        3,
        "payments",
        include_str!("../../migrations/postgres/0003_payments.sql"),
    ),
    (
        4,
        "outbox",
        include_str!("../../migrations/postgres/0004_outbox.sql"),
    ),
    (
        5,
        "retries",
        include_str!("../../migrations/postgres/0005_retries.sql"),
    ),
    (
        6,
        "operators",
        include_str!("../../migrations/postgres/0006_operators.sql"),
    ),
    (
        7,
        "payment_facts",
        include_str!("../../migrations/postgres/0007_payment_facts.sql"),
    ),
    (
        8,
        "user_sources",
        include_str!("../../migrations/postgres/0008_user_sources.sql"),
    ),
    (
        9,
        "findings",
        include_str!("../../migrations/postgres/0009_findings.sql"),
    ),
    (
        10,
        "replays",
        include_str!("../../migrations/postgres/0010_replays.sql"),
    ),
    (
        11,
        "pauses",
        include_str!("../../migrations/postgres/0011_pauses.sql"),
    ),
    (
        12,
        "erasure",
        include_str!("../../migrations/postgres/0012_erasure.sql"),
    ),
    (
        13,
        "origins",
        include_str!("../../migrations/postgres/0013_origins.sql"),
    ),
];

/// The migrations of the SQLite engine.
pub(super) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

/// The migrations of the Postgres engine. Whoever runs them holds a lock already.
pub(super) fn postgres() -> Migrator {
    let mut migrator = migrator(POSTGRES);
    migrator.set_locking(false);
    migrator
}

fn migrator<const N: usize>(migrations: [(i64, &'static str, &'static str); N]) -> Migrator {
    let migrations = migrations
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

/// Those of `known` that are not among `applied` (checksums by version), by name.
///
/// What `migrate` would refuse is no surprise for later: whoever only looks is told as well.
pub(super) fn pending(
    known: &Migrator,
    applied: &HashMap<i64, Vec<u8>>,
) -> Result<Vec<String>, StoreError> {
    if let Some(newer) = applied
        .keys()
        .filter(|version| !known.version_exists(**version))
        .max()
    {
        return Err(StoreError::Schema(
            format!(
                "migration {newer} was applied by a newer version of this program: run that \
                 version, or restore a copy of the database from before it"
            )
            .into(),
        ));
    }
    let differs = |migration: &&Migration| {
        applied
            .get(&migration.version)
            .is_some_and(|checksum| *checksum != *migration.checksum)
    };
    if let Some(migration) = known.iter().find(differs) {
        return Err(StoreError::Schema(
            format!(
                "{} is not the migration of that number that was applied here: run the version \
                 that applied it, or name another database",
                name(migration)
            )
            .into(),
        ));
    }
    Ok(known
        .iter()
        .filter(|migration| !applied.contains_key(&migration.version))
        .map(name)
        .collect())
}

/// Without a migration of ours, a table of one of these common names is another program's, and the
/// migrations would stumble over it.
pub(super) const TELLTALE_TABLES: [&str; 10] = [
    "users",
    "events",
    "outbox",
    "customers",
    "subscriptions",
    "invoices",
    "charges",
    "refunds",
    "disputes",
    "replays",
];

/// There is such a table.
pub(super) fn foreign(table: &str, home: &'static str) -> StoreError {
    StoreError::Schema(
        format!(
            "`{table}` is there already, and not from a migration of this program: name a {home} \
             that is used for nothing else"
        )
        .into(),
    )
}

/// How a migration is called in messages: like its file.
fn name(migration: &Migration) -> String {
    format!("{:04}_{}", migration.version, migration.description)
}
