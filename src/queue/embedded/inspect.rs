//! Looking into the queue from outside, while another process may be working it. Never writes.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::FILE;
use super::depth::ROW_BYTES;
use crate::model::event::{EventId, EventKey};
use crate::model::ledger::Waiting;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// Reads what waits in the queue of `data_dir`, dead letters included. A queue that was never opened is empty.
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
    // A process can have ended after it made the file and before it made the tables, and an earlier
    // version made fewer of them.
    let made: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE name IN ('messages', 'dead_letters')",
    )
    .fetch_all(&mut connection)
    .await?;
    let made = |table| made.iter().any(|name| name == table);
    if !made("messages") {
        return Ok(Waiting::default());
    }
    // One statement, one snapshot: the figures fit each other.
    let all = match made("dead_letters") {
        true => {
            "SELECT source, event_id, COUNT(*) AS messages, SUM(dead) AS dead, \
             MIN(received_at) AS oldest, \
             (SELECT COALESCE(SUM(length(body)), 0) FROM messages) \
             + (SELECT COALESCE(SUM(length(body)), 0) FROM dead_letters) AS all_body_bytes \
             FROM (SELECT source, event_id, received_at, 0 AS dead FROM messages UNION ALL \
                   SELECT source, event_id, received_at, 1 AS dead FROM dead_letters) \
             GROUP BY source, event_id"
        }
        false => {
            "SELECT source, event_id, COUNT(*) AS messages, 0 AS dead, \
             MIN(received_at) AS oldest, \
             (SELECT COALESCE(SUM(length(body)), 0) FROM messages) AS all_body_bytes \
             FROM messages GROUP BY source, event_id"
        }
    };
    let rows = sqlx::query(all).fetch_all(&mut connection).await?;
    connection.close().await?;

    let mut waiting = Waiting::default();
    let mut body_bytes = 0;
    for row in rows {
        let figure = |column| -> Result<u64, sqlx::Error> {
            Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
        };
        waiting.messages += figure("messages")?;
        waiting.dead += figure("dead")?;
        body_bytes = figure("all_body_bytes")?;
        let oldest = Timestamp::from_millis(row.try_get("oldest")?);
        waiting.oldest = Some(waiting.oldest.map_or(oldest, |known| known.min(oldest)));
        let source = SourceName::parse(row.try_get("source")?);
        let id = EventId::parse(row.try_get("event_id")?);
        waiting
            .events
            .extend(source.zip(id).map(|(source, id)| EventKey { source, id }));
    }
    waiting.bytes = body_bytes + waiting.messages * ROW_BYTES;
    Ok(waiting)
}
