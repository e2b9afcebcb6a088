//! How much the queue holds.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::model::time::Timestamp;

/// What a message takes in the file besides its body, roughly.
pub(super) const ROW_BYTES: u64 = 256;

/// What a queue holds, as of its last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait to be acknowledged, those that are handed out included.
    pub messages: u64,
    /// Messages that the queue gave up on, and nobody has taken over yet.
    pub dead: u64,
    /// What all of them take in the file: their bodies, and 256 bytes each for the rest.
    pub bytes: u64,
}

impl Depth {
    /// What a message with such a body takes in the file.
    pub fn bytes_of(body: &[u8]) -> u64 {
        body.len() as u64 + ROW_BYTES
    }

    /// Counts both tables: reads a page of each message.
    pub(super) async fn count(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let row = sqlx::query(
            "SELECT m.n AS messages, d.n AS dead, m.bytes + d.bytes AS bytes \
             FROM (SELECT COUNT(*) AS n, COALESCE(SUM(length(body)), 0) AS bytes FROM messages) AS m, \
                  (SELECT COUNT(*) AS n, COALESCE(SUM(length(body)), 0) AS bytes FROM dead_letters) AS d",
        )
        .fetch_one(connection)
        .await?;
        let (messages, dead) = (figure(&row, "messages")?, figure(&row, "dead")?);
        Ok(Self {
            messages,
            dead,
            bytes: figure(&row, "bytes")? + (messages + dead) * ROW_BYTES,
        })
    }

    pub(super) fn added(&mut self, body: &[u8]) {
        self.messages += 1;
        self.bytes += Self::bytes_of(body);
    }

    pub(super) fn removed(&mut self, removed: Removed) {
        self.messages = self.messages.saturating_sub(removed.messages);
        self.bytes = self.bytes.saturating_sub(removed.bytes());
    }

    pub(super) fn died(&mut self, messages: u64) {
        self.messages = self.messages.saturating_sub(messages);
        self.dead += messages;
    }

    pub(super) fn dead_removed(&mut self, removed: Removed) {
        self.dead = self.dead.saturating_sub(removed.messages);
        self.bytes = self.bytes.saturating_sub(removed.bytes());
    }
}

/// How much there is, and since when, as of the last commit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) depth: Depth,
    /// When the message that was queued first was received.
    pub(super) oldest: Option<Timestamp>,
}

/// When the message that was queued first was received. Reads one row.
pub(super) async fn oldest(
    connection: &mut SqliteConnection,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let first = sqlx::query_scalar("SELECT received_at FROM messages ORDER BY seq LIMIT 1");
    let first: Option<i64> = first.fetch_optional(connection).await?;
    Ok(first.map(Timestamp::from_millis))
}

/// What a removal removed: less than it was asked to, where it was asked twice.
#[derive(Clone, Copy)]
pub(super) struct Removed {
    messages: u64,
    body_bytes: u64,
}

impl Removed {
    pub(super) fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            messages: figure(row, "messages")?,
            body_bytes: figure(row, "body_bytes")?,
        })
    }

    fn bytes(self) -> u64 {
        self.body_bytes + self.messages * ROW_BYTES
    }
}

fn figure(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
}
