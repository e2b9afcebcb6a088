//! Reading messages: on, again, or one by one.

use futures_util::{Stream, TryStreamExt};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use super::row::{self, Flaw};
use super::suspects::Unseen;
use crate::model::event::Event;
use crate::queue::DeadLetter;

/// No further row is taken once those taken hold so many bytes. The driver reads some ahead.
const PIECE_BYTES: usize = 16 * 1024 * 1024;

/// How far the queue has been handed out.
#[derive(Debug)]
pub(super) struct Cursor {
    connection: SqliteConnection,
    last: i64,
}

impl Cursor {
    /// A cursor that reads on after `last`.
    pub(super) fn new(connection: SqliteConnection, last: i64) -> Self {
        Self { connection, last }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    /// What follows; nothing of it is read on a second time.
    pub(super) async fn read_on(&mut self, max: usize) -> Result<Piece, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT seq, source, event_id, event_type, received_at, trigger, headers, traceparent, body \
             FROM messages WHERE seq > ? ORDER BY seq LIMIT ?",
        )
        .bind(self.last)
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch(&mut self.connection);
        let piece = Piece::read(rows).await?;
        self.last = piece.last.unwrap_or(self.last);
        Ok(piece)
    }

    /// These, as far as they are still there.
    pub(super) async fn read_again(&mut self, seqs: &[i64]) -> Result<Piece, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT seq, source, event_id, event_type, received_at, trigger, headers, traceparent, body \
             FROM messages WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq",
        )
        .bind(serde_json::json!(seqs).to_string())
        .fetch(&mut self.connection);
        Piece::read(rows).await
    }

    /// The next one that was never handed out with caution.
    pub(super) async fn read_unseen(&mut self, unseen: Unseen) -> Result<Piece, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT seq, source, event_id, event_type, received_at, trigger, headers, traceparent, body \
             FROM messages WHERE seq > ? AND seq <= ? AND seq NOT IN (SELECT seq FROM suspects) \
             ORDER BY seq LIMIT 1",
        )
        .bind(unseen.after)
        .bind(unseen.up_to)
        .fetch(&mut self.connection);
        Piece::read(rows).await
    }

    /// Dead letters, oldest first, without these.
    pub(super) async fn read_dead(
        &mut self,
        without: &[i64],
        max: usize,
    ) -> Result<Vec<(i64, DeadLetter)>, sqlx::Error> {
        let mut rows = sqlx::query(
            "SELECT id, source, event_id, event_type, received_at, trigger, headers, traceparent, body, \
             unreadable \
             FROM dead_letters WHERE id NOT IN (SELECT value FROM json_each(?)) \
             ORDER BY id LIMIT ?",
        )
        .bind(serde_json::json!(without).to_string())
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch(&mut self.connection);
        let mut letters = Vec::new();
        let mut bytes = 0;
        while bytes < PIECE_BYTES
            && let Some(row) = rows.try_next().await?
        {
            let letter = row::decode_dead(&row);
            bytes += letter.event.body.len();
            letters.push((row.try_get("id")?, letter));
        }
        Ok(letters)
    }
}

/// Rows that were read in one go, in the order of arrival.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) events: Vec<(i64, Event)>,
    /// Rows that this program did not write.
    pub(super) unreadable: Vec<(i64, Flaw)>,
    /// The place of the last row, readable or not.
    pub(super) last: Option<i64>,
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
            let seq = row.try_get("seq")?;
            piece.last = Some(seq);
            match row::decode(&row) {
                Ok(event) => {
                    bytes += event.body.len();
                    piece.events.push((seq, event));
                }
                Err(flaw) => piece.unreadable.push((seq, flaw)),
            }
        }
        Ok(piece)
    }

    /// Whether the row at this place was read, or would have been if it were there.
    pub(super) fn covers(&self, seq: i64) -> bool {
        !self.cut || self.last.is_some_and(|last| seq <= last)
    }
}
