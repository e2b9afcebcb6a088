//! The one writer: whatever is waiting becomes one transaction.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::depth::{self, Depth, Held};
use super::order::Order;
use super::publisher::EmbeddedPublisher;
use super::{opening, statements};

/// How many orders may wait for the writer; beyond it publishers wait for a place.
const WAITING: usize = 1024;
/// How many orders one transaction takes at most. Bounds how long the first of them waits.
const GROUP: usize = 512;

/// What the writer tells the consumers.
#[derive(Clone, Debug, Default)]
pub(super) struct Bells {
    /// Rung when messages have come, or have come back.
    pub(super) arrivals: Arc<Notify>,
    /// Rung when dead letters have.
    pub(super) deaths: Arc<Notify>,
}

/// Owns the connection that writes.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failure, until the next commit opens the file anew.
    connection: Option<SqliteConnection>,
    /// Held as long as anything may still be written.
    _lock: File,
    orders: mpsc::Receiver<Order>,
    closing: CancellationToken,
    bells: Bells,
    /// Whether a batch was dropped unsettled: then the end is not an orderly one.
    abandoned: Arc<AtomicBool>,
    held: watch::Sender<Held>,
    /// A commit that failed may have happened all the same.
    depth_is_known: bool,
    /// The place of the next event. Never goes back while the process lives, so that a consumer
    /// that has seen all up to some place misses nothing that comes after the table was emptied.
    next_seq: i64,
}

impl Writer {
    pub(super) async fn new(
        options: SqliteConnectOptions,
        mut connection: SqliteConnection,
        lock: File,
        last_seq: i64,
        bells: Bells,
        abandoned: Arc<AtomicBool>,
    ) -> Result<(Self, EmbeddedPublisher), sqlx::Error> {
        let (held, held_seen) = watch::channel(Held {
            depth: Depth::count(&mut connection).await?,
            oldest: depth::oldest(&mut connection).await?,
        });
        let (sender, orders) = mpsc::channel(WAITING);
        let closing = CancellationToken::new();
        let publisher = EmbeddedPublisher::new(sender, held_seen, closing.clone());
        let writer = Self {
            options,
            connection: Some(connection),
            _lock: lock,
            orders,
            closing,
            bells,
            abandoned,
            held,
            depth_is_known: true,
            next_seq: last_seq + 1,
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
            let died = group
                .iter()
                .any(|order| matches!(order, Order::Bury { .. }));
            for done in group.drain(..).filter_map(Order::into_done) {
                // Whoever asked may have stopped waiting; the commit stands all the same.
                let _ = done.send(result.clone());
            }
            if result.is_ok() {
                if arrived {
                    self.bells.arrivals.notify_waiters();
                }
                if died {
                    self.bells.deaths.notify_waiters();
                }
            }
        }
        if let Err(error) = self.end().await {
            tracing::warn!(error = %error, "the queue's file was not closed cleanly");
        }
    }

    async fn end(mut self) -> Result<(), sqlx::Error> {
        // Whoever lets go of the queue without closing it has not come to an orderly end.
        let orderly = self.closing.is_cancelled() && !self.abandoned.load(Ordering::Relaxed);
        let mut connection = self.connected().await?;
        if orderly {
            opening::end(&mut connection).await?;
        }
        connection.close().await
    }

    /// SQLite ends a transaction by itself when the disk is full or failing, and the driver goes on to
    /// count it as open, for good. So a connection is taken for each commit, and put back only after
    /// it succeeded.
    async fn connected(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => SqliteConnection::connect_with(&self.options).await,
        }
    }

    async fn commit(&mut self, group: &[Order]) -> Result<(), sqlx::Error> {
        let mut connection = self.connected().await?;
        let depth_was_known = std::mem::replace(&mut self.depth_is_known, false);
        let Held {
            mut depth,
            mut oldest,
        } = *self.held.borrow();
        let mut left = !depth_was_known;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;

        let mut events = Vec::new();
        let mut removed = Vec::new();
        let mut checked = false;
        for order in group {
            match order {
                Order::Add { event, .. } => {
                    // The place is not reused if the commit fails: it may have happened all the same.
                    events.push((self.next_seq, event));
                    self.next_seq += 1;
                    depth.added(&event.body);
                }
                Order::Remove { seqs, .. } => removed.extend_from_slice(seqs),
                Order::Charge {
                    seq, deliveries, ..
                } => {
                    statements::charge(&mut transaction, *seq, *deliveries).await?;
                }
                Order::Bury { dead, .. } => {
                    left = true;
                    for (seq, unreadable) in dead {
                        let moved = statements::bury(&mut transaction, *seq, *unreadable).await?;
                        depth.died(moved);
                    }
                }
                Order::RemoveDead { ids, .. } => {
                    depth.dead_removed(statements::remove_dead(&mut transaction, ids).await?);
                }
                Order::Check { .. } => checked = true,
            }
        }
        statements::insert(&mut transaction, &events).await?;
        oldest = oldest.or_else(|| events.first().map(|(_, event)| event.received_at));
        if !removed.is_empty() {
            left = true;
            depth.removed(statements::remove(&mut transaction, &removed).await?);
        }
        if checked {
            sqlx::query("UPDATE readiness SET checks = checks + 1")
                .execute(&mut *transaction)
                .await?;
        }
        if !depth_was_known {
            depth = Depth::count(&mut transaction).await?;
        }
        if left {
            oldest = depth::oldest(&mut transaction).await?;
        }
        transaction.commit().await?;
        self.depth_is_known = true;
        self.held.send_replace(Held { depth, oldest });
        self.connection = Some(connection);
        Ok(())
    }
}
