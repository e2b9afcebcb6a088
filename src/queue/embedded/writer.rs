//! The one writer: whatever is waiting becomes one transaction.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::model::event::Event;
use crate::queue::{Confirmed, ConsumeError, PublishError, Publisher, Readiness};

/// How many orders may wait for the writer; beyond it publishers wait for a place.
const WAITING: usize = 1024;
/// How many bytes of events may wait for the writer or be with it. A publisher that has given up does
/// not take its event back, so the bound has to be here as well as at the front door.
const WAITING_BYTES: u32 = 64 * 1024 * 1024;
/// How many orders one transaction takes at most. Bounds how long the first of them waits.
const GROUP: usize = 512;
/// Rows in one INSERT; seven values each, far below SQLite's limit of 32,766.
const ROWS: usize = 128;

/// Something to be made durable.
enum Order {
    Add {
        event: Event,
        done: Done,
        _room: OwnedSemaphorePermit,
    },
    Remove {
        seqs: Vec<i64>,
        done: Done,
    },
    Check {
        done: Done,
    },
}

type Done = oneshot::Sender<Result<(), Arc<sqlx::Error>>>;

/// Owns the connection that writes.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failure, until the next commit opens the file anew.
    connection: Option<SqliteConnection>,
    /// Held as long as anything may still be written.
    _lock: File,
    orders: mpsc::Receiver<Order>,
    closing: CancellationToken,
    arrivals: Arc<Notify>,
    /// The place of the next event. Never goes back while the process lives, so that a consumer
    /// that has seen all up to some place misses nothing that comes after the table was emptied.
    next_seq: i64,
}

impl Writer {
    pub(super) async fn new(
        options: SqliteConnectOptions,
        mut connection: SqliteConnection,
        lock: File,
        arrivals: Arc<Notify>,
    ) -> Result<(Self, EmbeddedPublisher), sqlx::Error> {
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM messages")
            .fetch_one(&mut connection)
            .await?;
        let (sender, orders) = mpsc::channel(WAITING);
        let closing = CancellationToken::new();
        let publisher = EmbeddedPublisher {
            orders: sender,
            room: Arc::new(Semaphore::new(WAITING_BYTES as usize)),
            closing: closing.clone(),
        };
        let writer = Self {
            options,
            connection: Some(connection),
            _lock: lock,
            orders,
            closing,
            arrivals,
            next_seq: last + 1,
        };
        Ok((writer, publisher))
    }

    /// Works until the queue is closed or nobody is left to give orders.
    pub(super) async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            tokio::select! {
                taken = self.orders.recv_many(&mut group, GROUP) => if taken == 0 { break },
                () = self.closing.cancelled() => {
                    // Takes no new orders, but carries out those it has.
                    self.orders.close();
                    if self.orders.recv_many(&mut group, GROUP).await == 0 {
                        break;
                    }
                }
            }
            let result = self.commit(&group).await.map_err(Arc::new);
            if let Err(error) = &result {
                tracing::error!(error = %error, orders = group.len(), "the queue could not commit");
            }
            let arrived = group.iter().any(|order| matches!(order, Order::Add { .. }));
            for order in group.drain(..) {
                let (Order::Add { done, .. } | Order::Remove { done, .. } | Order::Check { done }) =
                    order;
                // Whoever asked may have stopped waiting; the commit stands all the same.
                let _ = done.send(result.clone());
            }
            if arrived && result.is_ok() {
                self.arrivals.notify_waiters();
            }
        }
        let Some(connection) = self.connection else {
            return;
        };
        if let Err(error) = connection.close().await {
            tracing::warn!(error = %error, "the queue's file was not closed cleanly");
        }
    }

    async fn commit(&mut self, group: &[Order]) -> Result<(), sqlx::Error> {
        let mut events = Vec::new();
        let mut removed = Vec::new();
        let mut checked = false;
        for order in group {
            match order {
                Order::Add { event, .. } => {
                    // The place is not reused if the commit fails: it may have happened all the same.
                    events.push((self.next_seq, event));
                    self.next_seq += 1;
                }
                Order::Remove { seqs, .. } => removed.extend(seqs),
                Order::Check { .. } => checked = true,
            }
        }

        // SQLite ends a transaction by itself when the disk is full or failing, and the driver goes
        // on to count it as open, for good. So a connection does not outlive a failure.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for rows in events.chunks(ROWS) {
            insert(&mut transaction, rows).await?;
        }
        if !removed.is_empty() {
            remove(&mut transaction, &removed).await?;
        }
        if checked {
            sqlx::query("UPDATE readiness SET checks = checks + 1")
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.connection = Some(connection);
        Ok(())
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    rows: &[(i64, &Event)],
) -> Result<(), sqlx::Error> {
    QueryBuilder::<Sqlite>::new(
        "INSERT INTO messages (seq, source, event_id, event_type, received_at, trigger, body) ",
    )
    .push_values(rows, |mut row, (seq, event)| {
        row.push_bind(*seq)
            .push_bind(event.key.source.as_str())
            .push_bind(event.key.id.as_str())
            .push_bind(event.event_type.as_str())
            .push_bind(event.received_at.as_millis())
            .push_bind(event.trigger.as_str())
            .push_bind(&event.body[..]);
    })
    .build()
    .execute(connection)
    .await?;
    Ok(())
}

async fn remove(connection: &mut SqliteConnection, seqs: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?))")
        .bind(serde_json::json!(seqs).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Gives events to the writer and waits until they are durable.
#[derive(Clone, Debug)]
pub struct EmbeddedPublisher {
    orders: mpsc::Sender<Order>,
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

impl EmbeddedPublisher {
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    pub(super) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    async fn order(&self, make: impl FnOnce(Done) -> Order + Send) -> Result<(), OrderError> {
        let (done, answer) = oneshot::channel();
        self.orders
            .send(make(done))
            .await
            .map_err(|_| OrderError::Closed)?;
        answer
            .await
            .map_err(|_| OrderError::Closed)?
            .map_err(OrderError::Commit)
    }

    pub(super) async fn remove(&self, seqs: Vec<i64>) -> Result<(), ConsumeError> {
        self.order(|done| Order::Remove { seqs, done })
            .await
            .map_err(|error| ConsumeError(error.into()))
    }
}

#[async_trait]
impl Publisher for EmbeddedPublisher {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        // An event larger than all the room waits until it has all of it.
        let bytes = u32::try_from(event.body.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(bytes.min(WAITING_BYTES))
            .await
            .map_err(|error| PublishError(error.into()))?;
        self.order(|done| Order::Add {
            event,
            done,
            _room: room,
        })
        .await
        .map_err(|error| PublishError(error.into()))?;
        Ok(Confirmed::by_stable_storage())
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        self.order(|done| Order::Check { done })
            .await
            .map_err(|error| PublishError(error.into()))?;
        Ok(Readiness::Ready)
    }
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The queue is closed, or its writer died.
    #[error("the embedded queue is closed")]
    Closed,
    /// The file could not be written.
    #[error("the embedded queue could not commit")]
    Commit(#[source] Arc<sqlx::Error>),
}
