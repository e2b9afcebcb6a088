//! The Postgres engine: any number of processes on any number of machines.
//!
//! Actors: workers that apply batches, dispatchers and schedulers that lease, operators that read.
//! All run at READ COMMITTED, so each statement sees what others committed before it began; who must
//! not be overtaken takes a lock first and looks afterwards ([`locks`] says which and in which order).
//!
//! Guaranteed: what `apply` commits is flushed to the server's disk, whatever the server's default;
//! every call ends in bounded time, on a wire that has gone silent too; a process that is stopped in
//! the middle of a transaction loses it after a minute instead of blocking the others. NOT guaranteed:
//! that a commit survives the loss of the server's disk (that is replication's work), or that a
//! connection pooler in between that shares sessions between clients keeps any of this.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, Postgres, Transaction};
use tokio::time::timeout;

use super::problem::unavailable;
use super::{Store, StoreError};
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
mod contention;
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
mod locks;
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
mod schema;
mod shelf;
mod tables;
mod timeline;
mod users;

/// Connections of one process: a worker, a dispatcher and a scheduler need one each, operators the
/// rest.
const CONNECTIONS: u32 = 8;
/// How long to wait for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long any call but a migration may take. The server gives up a little earlier by itself
/// ([`prepare_session`]), and then says what it was waiting for.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to become idle again after its call has ended. A query that was
/// given up on a silent wire never does; such a connection is closed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to look for the reason when no connection can be had.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The database on a Postgres server.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    policy: Policy,
}

impl PostgresStore {
    /// Takes the address of the database, `postgres://…`. Does not connect: the server need not be up
    /// yet, and connections are made when they are needed. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be understood.
    pub fn connect(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(unavailable("understand its address"))?
            .application_name("hookmirror")
            // Statements carry what people entrusted to the provider.
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| Box::pin(prepare_session(connection)))
            .after_release(|connection, _| {
                Box::pin(async move {
                    let idle = timeout(RELEASE_TIMEOUT, connection.ping()).await;
                    idle.unwrap_or(Err(sqlx::Error::PoolTimedOut))
                        .map(|()| true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            policy: Policy::default(),
        })
    }

    /// The same, with another policy than the default one.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Waits for what is under way and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn acquire(&self, action: &'static str) -> Result<PoolConnection<Postgres>, StoreError> {
        match self.pool.acquire().await {
            Ok(connection) => Ok(connection),
            Err(sqlx::Error::PoolTimedOut) => Err(unavailable(action)(self.why_not().await)),
            Err(error) => Err(unavailable(action)(error)),
        }
    }

    /// The pool tries for as long as it may and then says only that it did.
    async fn why_not(&self) -> sqlx::Error {
        let options = self.pool.connect_options();
        match timeout(PROBE_TIMEOUT, options.connect()).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
        }
    }

    async fn begin(
        &self,
        action: &'static str,
    ) -> Result<Transaction<'static, Postgres>, StoreError> {
        let connection = self.acquire(action).await?;
        Transaction::begin(connection, None)
            .await
            .map_err(unavailable(action))
    }

    /// A transaction that sees the database as it was at one moment.
    async fn snapshot(
        &self,
        action: &'static str,
    ) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut transaction = self.begin(action).await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *transaction)
            .await
            .map_err(unavailable(action))?;
        Ok(transaction)
    }
}

/// What every session needs, whatever the server's defaults.
async fn prepare_session(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('default_transaction_isolation', 'read committed', FALSE), \
         set_config('idle_in_transaction_session_timeout', '60s', FALSE), \
         set_config('lock_timeout', '20s', FALSE), \
         set_config('statement_timeout', '25s', FALSE), \
         CASE current_setting('synchronous_commit') \
         WHEN 'off' THEN set_config('synchronous_commit', 'on', FALSE) END",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends in bounded time, whatever server and wire do.
async fn bounded<T>(
    action: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable {
        action,
        source: Box::new(NoAnswer),
    };
    timeout(CALL_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| Err(late()))
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", CALL_TIMEOUT.as_secs())]
struct NoAnswer;

#[derive(Debug, thiserror::Error)]
#[error("it is read-only: a standby, or a primary that was told to accept no writes")]
struct ReadOnly;

#[async_trait]
impl Store for PostgresStore {
    async fn apply(&self, batch: &[Planned], now: Timestamp) -> Result<Vec<Applied>, StoreError> {
        bounded("apply a batch", tables::apply_batch(self, batch, now)).await
    }

    async fn find_event(&self, key: &EventKey) -> Result<Option<EventRecord>, StoreError> {
        bounded("read an event", read_ledger::find(self, key)).await
    }

    async fn count_events(&self, queued: &[EventKey]) -> Result<EventCounts, StoreError> {
        bounded("count events", read_ledger::count(self, queued)).await
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<UserReport>, StoreError> {
        bounded("read a user", read_users::find(self, id)).await
    }

    async fn find_ownership(&self, id: &str) -> Result<Option<Ownership>, StoreError> {
        bounded("look for a payment", payments::find_ownership(self, id)).await
    }

    async fn waiting_payments(&self, limit: u32) -> Result<Vec<WaitingPayment>, StoreError> {
        let waiting = payments::waiting(self, limit);
        bounded("list payments that wait for their user", waiting).await
    }

    async fn attribute(
        &self,
        id: &str,
        user: &UserId,
        from: Option<&UserId>,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Attributed, StoreError> {
        let attribute = payments::attribute(self, id, user, from, action, now);
        bounded("give a payment to a user", attribute).await
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
        let lease = retries::lease(self, limit, now, until);
        bounded("lease events that are due for another attempt", lease).await
    }

    async fn retries_queued(&self, leases: &[RetryLease]) -> Result<(), StoreError> {
        let queued = retries::queued(self, leases);
        bounded("record that events are back on the queue", queued).await
    }

    async fn next_retry_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due = retries::next_due(self);
        bounded("look for events that are due for another attempt", due).await
    }

    async fn lease_outbox(
        &self,
        of: &Recipients,
        limit: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<OutboxLease>, StoreError> {
        let lease = outbox::lease(self, of, limit, now, until);
        bounded("lease entries of the outbox", lease).await
    }

    async fn settle_outbox(
        &self,
        lease: &OutboxLease,
        outcome: &DeliveryOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let settle = outbox::settle(self, lease, outcome, now);
        bounded("record a delivery to Clerk", settle).await
    }

    async fn next_outbox_due(&self, of: &Recipients) -> Result<Option<Timestamp>, StoreError> {
        let due = outbox::next_due(self, of);
        bounded("look for due entries of the outbox", due).await
    }

    async fn list_outbox(
        &self,
        filter: &OutboxFilter,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        bounded("list the outbox", read_outbox::list(self, filter, limit)).await
    }

    async fn count_outbox(&self) -> Result<Vec<OutboxCount>, StoreError> {
        bounded("count the outbox", read_outbox::count(self)).await
    }

    async fn find_outbox(
        &self,
        user: &UserId,
        attempts: u32,
    ) -> Result<Option<OutboxRecord>, StoreError> {
        bounded("read the outbox", read_outbox::find(self, user, attempts)).await
    }

    async fn change_outbox(
        &self,
        change: OutboxChange,
        filter: &OutboxFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        bounded(
            "change the outbox",
            operators::change_outbox(self, change, filter, action, now),
        )
        .await
    }

    async fn operator_actions(&self, limit: u32) -> Result<Vec<ActionRecord>, StoreError> {
        let all = ActionFilter::default();
        let list = operators::list(self, &all, limit);
        bounded("list what operators did", list).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let action = "say whether it can be written to";
        let ping = async {
            let mut connection = self.acquire(action).await?;
            let read_only: bool = sqlx::query_scalar(
                "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean",
            )
            .fetch_one(&mut *connection)
            .await
            .map_err(unavailable(action))?;
            if read_only {
                return Err(StoreError::Unavailable {
                    action: "take a write",
                    source: Box::new(ReadOnly),
                });
            }
            Ok(())
        };
        bounded(action, ping).await
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        schema::migrate(self).await
    }

    async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let action = "read which migrations it has";
        let look = async {
            let mut connection = self.acquire(action).await?;
            schema::pending(&mut connection).await
        };
        bounded(action, look).await
    }
}
