//! Writing `events` and `event_attempts`.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::fold::{Grouped, LedgerHead};
use super::super::problem::ApplyError;
use super::super::standing::unless_it_stands;
use super::rows::{Reader, json_list};
use crate::model::changes::{Outcome, Planned};
use crate::model::event::EventKey;
use crate::model::state::EventState;
use crate::model::time::Timestamp;

/// Rows in one INSERT; 15 values each, far below SQLite's limit of 32,766.
const ROWS: usize = 128;

/// What the ledger knows of the events of a batch.
pub(super) async fn heads(
    connection: &mut SqliteConnection,
    batch: &[Planned],
) -> Result<HashMap<EventKey, LedgerHead>, ApplyError> {
    // The same id under another source is another event: the rows are matched on both below.
    let ids = batch.iter().map(|planned| planned.event.key.id.as_str());
    let sources = batch
        .iter()
        .map(|planned| planned.event.key.source.as_str());
    let rows = sqlx::query(
        "SELECT source, event_id, state, attempts FROM events \
         WHERE source IN (SELECT value FROM json_each(?)) \
         AND event_id IN (SELECT value FROM json_each(?))",
    )
    .bind(json_list(
        sources.collect::<std::collections::BTreeSet<_>>(),
    ))
    .bind(json_list(ids))
    .fetch_all(connection)
    .await?;
    let mut heads = HashMap::with_capacity(rows.len());
    for row in &rows {
        let key = read_key(row)?;
        let name = key.to_string();
        let reader = Reader::new("events", &name, row);
        let head = LedgerHead {
            state: reader.parse("state", EventState::parse)?,
            attempts: reader.count("attempts")?,
        };
        heads.insert(key, head);
    }
    Ok(heads)
}

/// Reads the primary key of `events`.
pub(super) fn read_key(row: &sqlx::sqlite::SqliteRow) -> Result<EventKey, super::StoreError> {
    use crate::model::event::EventId;
    use crate::model::source::SourceName;

    let id: &str = row.try_get("event_id").unwrap_or_default();
    let reader = Reader::new("events", id, row);
    Ok(EventKey {
        source: reader.parse("source", SourceName::parse)?,
        id: reader.parse("event_id", EventId::parse)?,
    })
}

/// Writes the row of each event, and an attempt where it did not simply succeed at once.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    groups: &[Grouped<'_>],
    outcomes: &[Outcome],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let (duplicates, processed): (Vec<_>, Vec<_>) = groups
        .iter()
        .zip(outcomes)
        .partition(|(grouped, _)| grouped.is_duplicate());
    for (grouped, _) in duplicates {
        sqlx::query(
            "UPDATE events SET deliveries = deliveries + ? WHERE source = ? AND event_id = ?",
        )
        .bind(grouped.deliveries)
        .bind(grouped.planned.event.key.source.as_str())
        .bind(grouped.planned.event.key.id.as_str())
        .execute(&mut *connection)
        .await?;
    }
    for rows in processed.chunks(ROWS) {
        upsert(connection, rows, now).await?;
    }
    let attempts: Vec<_> = processed
        .into_iter()
        .filter(|(grouped, outcome)| {
            let simply_succeeded = matches!(
                outcome.state(),
                Some(EventState::Applied | EventState::Ignored)
            );
            !grouped.is_parked() && (grouped.attempt() > 1 || !simply_succeeded)
        })
        .collect();
    for rows in attempts.chunks(ROWS) {
        record_attempts(connection, rows, now).await?;
    }
    Ok(())
}

async fn upsert(
    connection: &mut SqliteConnection,
    rows: &[(&Grouped<'_>, &Outcome)],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let now = now.to_string();
    QueryBuilder::<Sqlite>::new(
        "INSERT INTO events (source, event_id, event_type, subject, state, outcome, deliveries, \
         attempts, last_error, fingerprint, received_at, applied_at, next_attempt_at, payload, \
         headers) ",
    )
    .push_values(rows, |mut row, (grouped, outcome)| {
        let event = &grouped.planned.event;
        let failure = grouped.failure();
        let state = outcome.state();
        row.push_bind(event.key.source.as_str())
            .push_bind(event.key.id.as_str())
            .push_bind(event.event_type.as_str())
            .push_bind(grouped.planned.subject.as_deref())
            .push_bind(state.map(EventState::as_str))
            .push_bind(outcome.as_str())
            .push_bind(grouped.deliveries)
            .push_bind(grouped.attempt())
            .push_bind(failure.map(|failure| failure.message.as_str()))
            .push_bind(failure.map(|failure| failure.fingerprint.as_str()))
            .push_bind(event.received_at.to_string())
            .push_bind((state == Some(EventState::Applied)).then(|| now.clone()))
            .push_bind(outcome.next_attempt_at().map(|at| at.to_string()))
            .push_bind(grouped.planned.keep_payload.then_some(&event.body[..]))
            .push_bind(event.headers.as_json());
    })
    // The first delivery's time, headers and bytes stand: later ones are the same event. What is put aside
    // keeps its last error: nothing new is known.
    .push(concat!(
        " ON CONFLICT (source, event_id) DO UPDATE SET ",
        unless_it_stands!("state"),
        unless_it_stands!("outcome"),
        unless_it_stands!("last_error", " OR excluded.outcome = 'paused'"),
        unless_it_stands!("fingerprint", " OR excluded.outcome = 'paused'"),
        unless_it_stands!("applied_at"),
        unless_it_stands!("next_attempt_at"),
        "subject = COALESCE(excluded.subject, events.subject), \
         deliveries = events.deliveries + excluded.deliveries, attempts = excluded.attempts",
    ))
    .build()
    .execute(connection)
    .await?;
    Ok(())
}

async fn record_attempts(
    connection: &mut SqliteConnection,
    rows: &[(&Grouped<'_>, &Outcome)],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let now = now.to_string();
    QueryBuilder::<Sqlite>::new(
        "INSERT INTO event_attempts (source, event_id, attempt, at, trigger, state, outcome, error) ",
    )
    .push_values(rows, |mut row, (grouped, outcome)| {
        let event = &grouped.planned.event;
        let state = outcome.state().map(|state| grouped.state_after(state));
        row.push_bind(event.key.source.as_str())
            .push_bind(event.key.id.as_str())
            .push_bind(grouped.attempt())
            .push_bind(now.clone())
            .push_bind(event.trigger.name())
            .push_bind(state.map(EventState::as_str))
            .push_bind(outcome.as_str())
            .push_bind(grouped.failure().map(|failure| failure.message.as_str()));
    })
    .build()
    .execute(connection)
    .await?;
    Ok(())
}

/// Payments that waited for their user and have one now.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    subjects: &[String],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if subjects.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE events SET state = 'applied', outcome = ?, applied_at = ? \
         WHERE state = 'waiting' AND subject IN (SELECT value FROM json_each(?))",
    )
    .bind(Outcome::PaymentRecorded.as_str())
    .bind(now.to_string())
    .bind(json_list(subjects.iter().map(String::as_str)))
    .execute(connection)
    .await?;
    Ok(())
}
