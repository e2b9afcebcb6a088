//! Events that are tried again later.

use sqlx::SqliteConnection;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::super::fold::failures::FailureFold;
use super::super::problem::unavailable;
use super::ledger::read_key;
use super::rows::Reader;
use super::{SqliteStore, StoreError};
use crate::model::event::{Event, EventType, Trigger};
use crate::model::headers::KeptHeaders;
use crate::model::retry::{RetryLease, without_payload};
use crate::model::time::Timestamp;

/// Leases what is due, by moving the time at which it is due.
pub(super) async fn lease(
    store: &SqliteStore,
    limit: u32,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<RetryLease>, StoreError> {
    // Looking first keeps an idle scheduler from writing, and so from syncing, all the time.
    match next_due(&store.readers).await? {
        Some(due) if due <= now => {}
        _ => return Ok(Vec::new()),
    }
    let action = "lease events that are due for another attempt";
    let mut transaction = store.begin(action).await?;
    fail_without_payload(&mut transaction, now)
        .await
        .map_err(unavailable(action))?;
    let rows = sqlx::query(
        "UPDATE events SET next_attempt_at = ?1 \
         WHERE (source, event_id) IN (SELECT source, event_id FROM events \
         WHERE state = 'retrying' AND next_attempt_at <= ?2 AND payload IS NOT NULL \
         ORDER BY next_attempt_at LIMIT ?3) \
         RETURNING source, event_id, event_type, received_at, payload",
    )
    .bind(until.to_string())
    .bind(now.to_string())
    .bind(limit)
    .fetch_all(&mut *transaction)
    .await
    .map_err(unavailable(action))?;
    transaction.commit().await.map_err(unavailable(action))?;
    // A row that was damaged by hand must not hold up the others: it falls due again and again.
    let leases = rows.iter().filter_map(|row| match read(row, until) {
        Ok(lease) => Some(lease),
        Err(error) => {
            tracing::error!(%error, "an event cannot be tried again");
            None
        }
    });
    Ok(leases.collect())
}

/// Ends what is due and cannot be tried: it would fall due for ever. It is counted as any other failure.
async fn fail_without_payload(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let types: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT event_type FROM events \
         WHERE state = 'retrying' AND next_attempt_at <= ? AND payload IS NULL",
    )
    .bind(now.to_string())
    .fetch_all(&mut *connection)
    .await?;
    let mut failures = FailureFold::default();
    for event_type in types.iter().filter_map(|name| EventType::parse(name)) {
        let failure = without_payload(&event_type);
        let rows = sqlx::query(
            "UPDATE events SET state = 'failed', outcome = ?, last_error = ?, fingerprint = ?, \
             next_attempt_at = NULL WHERE state = 'retrying' AND next_attempt_at <= ? \
             AND payload IS NULL AND event_type = ? RETURNING source, event_id",
        )
        .bind(failure.kind)
        .bind(&failure.message)
        .bind(&failure.fingerprint)
        .bind(now.to_string())
        .bind(event_type.as_str())
        .fetch_all(&mut *connection)
        .await?;
        for key in rows.iter().filter_map(|row| read_key(row).ok()) {
            failures.note(failure.kind, &failure, &event_type, key);
        }
    }
    if !failures.is_empty() {
        super::failures::write(connection, &failures, now).await?;
    }
    Ok(())
}

fn read(row: &SqliteRow, until: Timestamp) -> Result<RetryLease, StoreError> {
    let key = read_key(row)?;
    let name = key.to_string();
    let reader = Reader::new("events", &name, row);
    let body: Vec<u8> = reader.get("payload")?;
    let event = Event {
        event_type: reader.parse("event_type", EventType::parse)?,
        received_at: reader.time("received_at")?,
        trigger: Trigger::Retry,
        // They stand in the ledger, as those of the first delivery.
        headers: KeptHeaders::default(),
        trace: None,
        body: body.into(),
        key,
    };
    Ok(RetryLease { event, until })
}

/// Records that these are back on the queue.
pub(super) async fn queued(store: &SqliteStore, leases: &[RetryLease]) -> Result<(), StoreError> {
    let action = "record that events are back on the queue";
    let mut transaction = store.begin(action).await?;
    for lease in leases {
        sqlx::query(
            "UPDATE events SET state = 'queued', next_attempt_at = NULL \
             WHERE source = ? AND event_id = ? AND state = 'retrying' AND next_attempt_at = ?",
        )
        .bind(lease.event.key.source.as_str())
        .bind(lease.event.key.id.as_str())
        .bind(lease.until.to_string())
        .execute(&mut *transaction)
        .await
        .map_err(unavailable(action))?;
    }
    transaction.commit().await.map_err(unavailable(action))
}

/// When the next attempt falls due.
pub(super) async fn next_due(readers: &SqlitePool) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(
        "SELECT MIN(next_attempt_at) AS next_attempt_at FROM events WHERE state = 'retrying'",
    )
    .fetch_one(readers)
    .await
    .map_err(unavailable(
        "look for events that are due for another attempt",
    ))?;
    Reader::new("events", "the next attempt", &row).optional_time("next_attempt_at")
}
