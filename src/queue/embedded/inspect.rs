//! Looking into the queue from outside, while another process may be working it. Never writes.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::FILE;
use crate::model::event::{EventId, EventKey};
use crate::model::ledger::Waiting;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// Reads what waits in the queue of `data_dir`. A queue that was never opened is empty.
///
/// # Errors
///
/// When the file is there and cannot be read.
pub async fn waiting(data_dir: &Path) -> Result<Waiting, sqlx::Error> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Ok(Waiting::default());
    }
    let mut connection = SqliteConnection::connect_with(
        &SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .disable_statement_logging(),
    )
    .await?;
    // A process can have ended after it made the file and before it made the tables.
    let made: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'messages')")
            .fetch_one(&mut connection)
            .await?;
    if !made {
        return Ok(Waiting::default());
    }
    // One statement, one snapshot: the figures fit each other.
    let rows = sqlx::query(
        "SELECT source, event_id, COUNT(*) AS messages, MIN(received_at) AS oldest \
         FROM messages GROUP BY source, event_id",
    )
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;

    let mut waiting = Waiting::default();
    for row in rows {
        waiting.messages += u64::try_from(row.try_get::<i64, _>("messages")?).unwrap_or(0);
        let oldest = Timestamp::from_millis(row.try_get("oldest")?);
        waiting.oldest = Some(waiting.oldest.map_or(oldest, |known| known.min(oldest)));
        let source = SourceName::parse(row.try_get("source")?);
        let id = EventId::parse(row.try_get("event_id")?);
        waiting
            .events
            .extend(source.zip(id).map(|(source, id)| EventKey { source, id }));
    }
    Ok(waiting)
}
