//! Events that are tried again later.

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};

use super::super::fold::failures::FailureFold;
use super::super::problem::unavailable;
use super::ledger::read_key;
use super::rows::{Reader, column, stored};
use super::{PostgresStore, StoreError};
use crate::model::event::{Event, EventType, Trigger};
use crate::model::headers::KeptHeaders;
use crate::model::retry::{RetryLease, without_payload};
use crate::model::time::Timestamp;

/// Leases what is due, by moving the time at which it is due.
pub(super) async fn lease(
    store: &PostgresStore,
    limit: u32,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<RetryLease>, StoreError> {
    // Looking first keeps an idle scheduler from writing, and so from syncing, all the time.
    match next_due(store).await? {
        Some(due) if due <= now => {}
        _ => return Ok(Vec::new()),
    }
    let action = "lease events that are due for another attempt";
    let mut connection = store.acquire(action).await?;
    fail_without_payload(&mut connection, now)
        .await
        .map_err(unavailable(action))?;
    let rows = sqlx::query(
        "WITH due AS MATERIALIZED (\
         SELECT source, event_id FROM events \
         WHERE state = 'retrying' AND next_attempt_at <= $2 AND payload IS NOT NULL \
         ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
         UPDATE events AS e SET next_attempt_at = $1 FROM due \
         WHERE e.source = due.source AND e.event_id = due.event_id \
         RETURNING e.source, e.event_id, e.event_type, e.received_at, e.payload",
    )
    .bind(stored(until))
    .bind(stored(now))
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await
    .map_err(unavailable(action))?;
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
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let types: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT event_type FROM events \
         WHERE state = 'retrying' AND next_attempt_at <= $1 AND payload IS NULL",
    )
    .bind(stored(now))
    .fetch_all(&mut *connection)
    .await?;
    if types.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    let mut failures = FailureFold::default();
    for event_type in types.iter().filter_map(|name| EventType::parse(name)) {
        let failure = without_payload(&event_type);
        let rows = sqlx::query(
            "WITH due AS MATERIALIZED (SELECT source, event_id FROM events \
             WHERE state = 'retrying' AND next_attempt_at <= $4 AND payload IS NULL \
             AND event_type = $5 FOR UPDATE SKIP LOCKED) \
             UPDATE events AS e SET state = 'failed', outcome = $1, last_error = $2, \
             fingerprint = $3, next_attempt_at = NULL FROM due \
             WHERE e.source = due.source AND e.event_id = due.event_id \
             RETURNING e.source, e.event_id",
        )
        .bind(failure.kind)
        .bind(&failure.message)
        .bind(&failure.fingerprint)
        .bind(stored(now))
        .bind(event_type.as_str())
        .fetch_all(&mut *transaction)
        .await?;
        for key in rows.iter().filter_map(|row| read_key(row).ok()) {
            failures.note(failure.kind, &failure, &event_type, key);
        }
    }
    if !failures.is_empty() {
        super::failures::write(&mut transaction, &failures, now).await?;
    }
    transaction.commit().await
}

fn read(row: &PgRow, until: Timestamp) -> Result<RetryLease, StoreError> {
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
pub(super) async fn queued(store: &PostgresStore, leases: &[RetryLease]) -> Result<(), StoreError> {
    let action = "record that events are back on the queue";
    let mut connection = store.acquire(action).await?;
    sqlx::query(
        "WITH leased AS MATERIALIZED (\
         SELECT e.source, e.event_id \
         FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) AS l(source, event_id, until) \
         JOIN events AS e ON e.source = l.source AND e.event_id = l.event_id \
         WHERE e.state = 'retrying' AND e.next_attempt_at = l.until \
         ORDER BY e.source, e.event_id FOR UPDATE OF e) \
         UPDATE events AS e SET state = 'queued', next_attempt_at = NULL FROM leased AS l \
         WHERE e.source = l.source AND e.event_id = l.event_id",
    )
    .bind(column(leases, |lease| lease.event.key.source.as_str()))
    .bind(column(leases, |lease| lease.event.key.id.as_str()))
    .bind(column(leases, |lease| stored(lease.until)))
    .execute(&mut *connection)
    .await
    .map_err(unavailable(action))?;
    Ok(())
}

/// When the next attempt falls due.
pub(super) async fn next_due(store: &PostgresStore) -> Result<Option<Timestamp>, StoreError> {
    let action = "look for events that are due for another attempt";
    let mut connection = store.acquire(action).await?;
    let row = sqlx::query(
        "SELECT MIN(next_attempt_at) AS next_attempt_at FROM events WHERE state = 'retrying'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(unavailable(action))?;
    Reader::new("events", "the next attempt", &row).optional_time("next_attempt_at")
}
