//! Handing events out, and taking them back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::{Stream, TryStreamExt};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::Notify;

use super::writer::{EmbeddedPublisher, OrderError};
use crate::model::event::{Event, EventId, EventKey, EventType, Trigger};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::queue::{Batch, ConsumeError, Consumer, Delivery};

/// No further row is taken once those taken hold so many bytes. The driver reads some ahead.
const PIECE_BYTES: usize = 16 * 1024 * 1024;

/// What all consumers of one queue share.
#[derive(Debug)]
pub(super) struct Handout {
    cursor: tokio::sync::Mutex<Cursor>,
    /// Handed out once and handed back, to be taken before anything newer.
    returned: Mutex<BTreeSet<i64>>,
    arrivals: Arc<Notify>,
}

impl Handout {
    pub(super) fn new(cursor: Cursor, arrivals: Arc<Notify>) -> Self {
        Self {
            cursor: tokio::sync::Mutex::new(cursor),
            returned: Mutex::default(),
            arrivals,
        }
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.cursor.into_inner().connection.close().await {
            tracing::warn!(error = %error, "the queue's file was not closed cleanly");
        }
    }

    fn give_back(&self, seqs: &[i64]) {
        self.returned().extend(seqs);
        self.arrivals.notify_waiters();
    }

    /// What is ready now. Nothing is marked as handed out before the rows are in hand, so giving up
    /// on this future loses nothing.
    async fn ready(&self, max: usize) -> Result<Vec<(i64, Event)>, sqlx::Error> {
        let mut cursor = self.cursor.lock().await;
        loop {
            let returned: Vec<i64> = self.returned().iter().copied().take(max).collect();
            if returned.is_empty() {
                return cursor.read_on(max).await;
            }
            let piece = cursor.read_again(&returned).await?;
            let mut still_returned = self.returned();
            for seq in returned.iter().filter(|seq| piece.covers(**seq)) {
                still_returned.remove(seq);
            }
            // Nothing to hand out, but rows may follow: these were handed back by a consumer that
            // stopped waiting for its acknowledgement, and the writer has removed them since.
            if !piece.events.is_empty() {
                return Ok(piece.events);
            }
        }
    }

    fn returned(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the queue has been handed out.
#[derive(Debug)]
pub(super) struct Cursor {
    connection: SqliteConnection,
    last: i64,
}

impl Cursor {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self {
            connection,
            last: 0,
        }
    }

    async fn read_on(&mut self, max: usize) -> Result<Vec<(i64, Event)>, sqlx::Error> {
        loop {
            let rows = sqlx::query(
                "SELECT seq, source, event_id, event_type, received_at, trigger, body \
                 FROM messages WHERE seq > ? ORDER BY seq LIMIT ?",
            )
            .bind(self.last)
            .bind(i64::try_from(max).unwrap_or(i64::MAX))
            .fetch(&mut self.connection);
            let piece = Piece::read(rows).await?;
            let Some(last) = piece.last else {
                return Ok(Vec::new());
            };
            self.last = last;
            if !piece.events.is_empty() {
                return Ok(piece.events);
            }
        }
    }

    async fn read_again(&mut self, seqs: &[i64]) -> Result<Piece, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT seq, source, event_id, event_type, received_at, trigger, body \
             FROM messages WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq",
        )
        .bind(serde_json::json!(seqs).to_string())
        .fetch(&mut self.connection);
        Piece::read(rows).await
    }
}

/// Rows that were read in one go, in the order of arrival.
#[derive(Default)]
struct Piece {
    events: Vec<(i64, Event)>,
    /// The place of the last row, readable or not.
    last: Option<i64>,
    /// Whether there were more rows than one piece holds.
    cut: bool,
}

impl Piece {
    /// Reads rows until they hold enough bytes: a batch of large bodies must not fill the memory.
    async fn read(
        mut rows: impl Stream<Item = Result<SqliteRow, sqlx::Error>> + Unpin,
    ) -> Result<Self, sqlx::Error> {
        let mut piece = Self::default();
        let mut bytes = 0;
        while let Some(row) = rows.try_next().await? {
            if bytes >= PIECE_BYTES {
                piece.cut = true;
                break;
            }
            piece.last = Some(row.try_get("seq")?);
            let readable = readable(&row);
            bytes += readable.as_ref().map_or(0, |(_, event)| event.body.len());
            piece.events.extend(readable);
        }
        Ok(piece)
    }

    /// Whether the row at this place was read, or would have been if it were there.
    fn covers(&self, seq: i64) -> bool {
        !self.cut || self.last.is_some_and(|last| seq <= last)
    }
}

/// A row that this program did not write must not stop the rows behind it: it stays in the file,
/// counted in the depth, and is named in the log.
fn readable(row: &SqliteRow) -> Option<(i64, Event)> {
    let seq: i64 = row.try_get("seq").ok()?;
    let event = decode(row);
    if event.is_none() {
        tracing::error!(
            queue.seq = seq,
            "skipped a row of the queue that this program did not write"
        );
    }
    Some((seq, event?))
}

fn decode(row: &SqliteRow) -> Option<Event> {
    let body: Vec<u8> = row.try_get("body").ok()?;
    Some(Event {
        key: EventKey {
            source: SourceName::parse(row.try_get("source").ok()?)?,
            id: EventId::parse(row.try_get("event_id").ok()?)?,
        },
        event_type: EventType::parse(row.try_get("event_type").ok()?)?,
        received_at: Timestamp::from_millis(row.try_get("received_at").ok()?),
        trigger: Trigger::parse(row.try_get("trigger").ok()?)?,
        body: body.into(),
    })
}

/// Takes events from the embedded queue.
#[derive(Debug)]
pub struct EmbeddedConsumer {
    handout: Arc<Handout>,
    publisher: EmbeddedPublisher,
}

impl EmbeddedConsumer {
    pub(super) fn new(handout: Arc<Handout>, publisher: EmbeddedPublisher) -> Self {
        Self { handout, publisher }
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        loop {
            // Listening begins before looking, so that what arrives in between is not missed.
            let arrival = self.handout.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if self.publisher.is_closed() {
                return Err(ConsumeError(OrderError::Closed.into()));
            }

            let ready = self
                .handout
                .ready(max)
                .await
                .map_err(|error| ConsumeError(error.into()))?;
            if ready.is_empty() {
                tokio::select! {
                    () = arrival => {}
                    () = self.publisher.closed() => {}
                }
                continue;
            }
            let (seqs, events) = ready.into_iter().unzip();
            return Ok(Batch {
                events,
                delivery: Box::new(EmbeddedDelivery {
                    seqs,
                    handout: Arc::clone(&self.handout),
                    publisher: self.publisher.clone(),
                }),
            });
        }
    }
}

#[derive(Debug)]
struct EmbeddedDelivery {
    seqs: Vec<i64>,
    handout: Arc<Handout>,
    publisher: EmbeddedPublisher,
}

#[async_trait]
impl Delivery for EmbeddedDelivery {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        self.publisher.remove(self.seqs.clone()).await?;
        self.seqs.clear();
        Ok(())
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for EmbeddedDelivery {
    fn drop(&mut self) {
        if !self.seqs.is_empty() {
            self.handout.give_back(&self.seqs);
        }
    }
}
