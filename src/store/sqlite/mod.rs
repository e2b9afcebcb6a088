//! The SQLite engine: one file, one writer, any number of readers.
//!
//! WAL mode with `synchronous=FULL`: what `apply` commits survives a loss of power. All writes go
//! through a pool of one connection, in `IMMEDIATE` transactions, so that a writer never finds out
//! half-way that somebody else was faster; reads use connections of their own and see the last
//! commit. Several processes may use the file at once; they wait for each other.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction};

use super::problem::unavailable;
use super::{Store, StoreError, migrate};
use crate::model::changes::{Applied, Planned};
use crate::model::entitlement::Policy;
use crate::model::event::EventKey;
use crate::model::ledger::{EventCounts, EventRecord, UserReport};
use crate::model::operator::{ActionFilter, ActionRecord, OperatorAction};
use crate::model::outbox::{
    DeliveryOutcome, OutboxChange, OutboxCount, OutboxEntry, OutboxFilter, OutboxLease,
    OutboxRecord, Recipients,
};
use crate::model::payment::{Attributed, Ownership, WaitingPayment};
use crate::model::retry::RetryLease;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

mod action_log;
mod entitlements;
mod erasure;
mod event_changes;
mod facts;
mod failures;
mod filter;
mod findings;
mod freshness;
mod late_events;
mod ledger;
mod operators;
mod outbox;
mod pauses;
mod payments;
mod previews;
mod read_ledger;
mod read_outbox;
mod read_users;
mod replays;
mod retention;
mod retries;
mod rows;
mod shelf;
mod tables;
mod timeline;
mod users;

/// How long a write waits for another process to finish its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections for readers: listings must not wait for each other.
const READERS: u32 = 4;
/// Statements with a varying number of rows are many; each is prepared once.
const CACHED_STATEMENTS: usize = 512;

/// The database in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    policy: Policy,
}

impl SqliteStore {
    /// Opens the file, creating it and its directory if they are not there. Does not migrate.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or opened.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|source| StoreError::Unavailable {
                action: "be created",
                source: Box::new(DirectoryError {
                    path: directory.to_owned(),
                    source,
                }),
            })?;
        }
        let options = Self::options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        Self::connect(&options, path).await
    }

    /// Opens the file if it is there; never writes to the disk.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub async fn open_existing(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        Self::connect(&Self::options(path), path).await.map(Some)
    }

    fn options(path: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(path)
            // A commit must survive a loss of power: the queue forgets the event right after it.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is deleted is overwritten: bodies hold personal data.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(CACHED_STATEMENTS)
            .disable_statement_logging()
    }

    async fn connect(options: &SqliteConnectOptions, path: &Path) -> Result<Self, StoreError> {
        let opened = async {
            let writer = SqlitePoolOptions::new()
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                // SQLite ends a transaction by itself when the disk is full or failing, and the
                // driver goes on to count it as open: such a connection could never begin another.
                .before_acquire(|connection, _| {
                    Box::pin(async move { Ok(!connection.is_in_transaction()) })
                })
                .connect_with(options.clone())
                .await?;
            let readers = SqlitePoolOptions::new()
                .max_connections(READERS)
                .connect_lazy_with(options.clone().read_only(true));
            Ok(Self {
                writer,
                readers,
                policy: Policy::default(),
            })
        };
        opened.await.map_err(|source| StoreError::Unavailable {
            action: "be opened",
            source: Box::new(OpenError {
                path: path.to_owned(),
                source,
            }),
        })
    }

    /// The same, with another policy than the default one.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Waits for what is under way and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn begin(
        &self,
        action: &'static str,
    ) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(unavailable(action))
    }
}

/// Migrations that are not applied yet, by name.
async fn pending(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let action = "read which migrations it has";
    let known: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await
            .map_err(unavailable(action))?;
    let applied: HashMap<i64, Vec<u8>> = if known == 0 {
        refuse_foreign_tables(&mut *connection).await?;
        HashMap::new()
    } else {
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
            .fetch_all(connection)
            .await
            .map_err(unavailable(action))?
            .into_iter()
            .collect()
    };
    migrate::pending(&migrate::sqlite(), &applied)
}

async fn refuse_foreign_tables(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let foreign: Option<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE name IN (SELECT value FROM json_each(?)) LIMIT 1",
    )
    .bind(rows::json_list(migrate::TELLTALE_TABLES))
    .fetch_optional(connection)
    .await
    .map_err(unavailable("read which tables it has"))?;
    match foreign {
        None => Ok(()),
        Some(table) => Err(migrate::foreign(&table, "database file")),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot create the directory {}", path.display())]
struct DirectoryError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// SQLite names neither the file nor what it needs of the directory, for its log beside the file.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} must be a SQLite file, and this user must be able to write to it and to its directory",
    path.display()
)]
struct OpenError {
    path: PathBuf,
    #[source]
    source: sqlx::Error,
}

#[async_trait]
impl Store for SqliteStore {
    async fn apply(&self, batch: &[Planned], now: Timestamp) -> Result<Vec<Applied>, StoreError> {
        tables::apply_batch(self, batch, now).await
    }

    async fn find_event(&self, key: &EventKey) -> Result<Option<EventRecord>, StoreError> {
        read_ledger::find(&self.readers, key).await
    }

    async fn count_events(&self, queued: &[EventKey]) -> Result<EventCounts, StoreError> {
        read_ledger::count(&self.readers, queued).await
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<UserReport>, StoreError> {
        read_users::find(self, id).await
    }

    async fn find_ownership(&self, id: &str) -> Result<Option<Ownership>, StoreError> {
        payments::find_ownership(self, id).await
    }

    async fn waiting_payments(&self, limit: u32) -> Result<Vec<WaitingPayment>, StoreError> {
        payments::waiting(&self.readers, limit).await
    }

    async fn attribute(
        &self,
        id: &str,
        user: &UserId,
        from: Option<&UserId>,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Attributed, StoreError> {
        payments::attribute(self, id, user, from, action, now).await
    }

    async fn reassess(&self, now: Timestamp) -> Result<u64, StoreError> {
        payments::reassess(self, now).await
    }

    async fn lease_retries(
        &self,
        limit: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<RetryLease>, StoreError> {
        retries::lease(self, limit, now, until).await
    }

    async fn retries_queued(&self, leases: &[RetryLease]) -> Result<(), StoreError> {
        retries::queued(self, leases).await
    }

    async fn next_retry_due(&self) -> Result<Option<Timestamp>, StoreError> {
        retries::next_due(&self.readers).await
    }

    async fn lease_outbox(
        &self,
        of: &Recipients,
        limit: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<OutboxLease>, StoreError> {
        outbox::lease(self, of, limit, now, until).await
    }

    async fn settle_outbox(
        &self,
        lease: &OutboxLease,
        outcome: &DeliveryOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        outbox::settle(self, lease, outcome, now).await
    }

    async fn next_outbox_due(&self, of: &Recipients) -> Result<Option<Timestamp>, StoreError> {
        outbox::next_due(&self.readers, of).await
    }

    async fn list_outbox(
        &self,
        filter: &OutboxFilter,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        read_outbox::list(&self.readers, filter, limit).await
    }

    async fn count_outbox(&self) -> Result<Vec<OutboxCount>, StoreError> {
        read_outbox::count(&self.readers).await
    }

    async fn find_outbox(
        &self,
        user: &UserId,
        attempts: u32,
    ) -> Result<Option<OutboxRecord>, StoreError> {
        read_outbox::find(&self.readers, user, attempts).await
    }

    async fn change_outbox(
        &self,
        change: OutboxChange,
        filter: &OutboxFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        operators::change_outbox(self, change, filter, action, now).await
    }

    async fn operator_actions(&self, limit: u32) -> Result<Vec<ActionRecord>, StoreError> {
        operators::list(&self.readers, &ActionFilter::default(), limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // Takes the write lock: a database that can only be read is of no use to a worker.
        let transaction = self.begin("take a write lock").await?;
        transaction
            .rollback()
            .await
            .map_err(unavailable("release a write lock"))
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        // All in one transaction: of processes that start together, one finds nothing left to do.
        let mut transaction = self.begin("begin to migrate").await?;
        let pending = pending(&mut transaction).await?;
        // `run` itself cannot be awaited in a future that must be `Send` (sqlx, "implementation of
        // `Acquire` is not general enough"); this is what it calls.
        migrate::sqlite()
            .run_direct(None, &mut *transaction, false)
            .await
            .map_err(|error| StoreError::Schema(error.into()))?;
        transaction
            .commit()
            .await
            .map_err(unavailable("commit its migrations"))?;
        Ok(pending)
    }

    async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self
            .writer
            .acquire()
            .await
            .map_err(unavailable("read which migrations it has"))?;
        pending(&mut connection).await
    }
}
