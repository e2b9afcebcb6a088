//! Writing `events` and `event_attempts`.
//!
//! Two workers may process the same event at once: each has read the ledger before the other wrote.
//! The row decides: the first to settle it stays, the other one's work counts as a delivery, unless it
//! is done for a replay.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::super::fold::{Grouped, LedgerHead};
use super::super::problem::ApplyError;
use super::super::standing::unless_it_stands;
use super::StoreError;
use super::rows::{Reader, column, stored};
use crate::model::changes::{Failure, Outcome, Planned};
use crate::model::event::{EventId, EventKey};
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::time::Timestamp;

/// What the ledger knows of the events of a batch.
pub(super) async fn heads(
    connection: &mut PgConnection,
    batch: &[Planned],
) -> Result<HashMap<EventKey, LedgerHead>, ApplyError> {
    let rows = sqlx::query(
        "SELECT e.source, e.event_id, e.state, e.attempts \
         FROM UNNEST($1::text[], $2::text[]) AS wanted(source, event_id) \
         JOIN events AS e ON e.source = wanted.source AND e.event_id = wanted.event_id",
    )
    .bind(column(batch, |planned| planned.event.key.source.as_str()))
    .bind(column(batch, |planned| planned.event.key.id.as_str()))
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
pub(super) fn read_key(row: &PgRow) -> Result<EventKey, StoreError> {
    let id: &str = row.try_get("event_id").unwrap_or_default();
    let reader = Reader::new("events", id, row);
    Ok(EventKey {
        source: reader.parse("source", SourceName::parse)?,
        id: reader.parse("event_id", EventId::parse)?,
    })
}

/// An event of the batch and what became of it.
struct Entry<'a> {
    grouped: &'a Grouped<'a>,
    outcome: Outcome,
}

impl Entry<'_> {
    fn key(&self) -> &EventKey {
        &self.grouped.planned.event.key
    }

    fn state(&self) -> Option<EventState> {
        self.outcome.state()
    }

    fn failure(&self) -> Option<&Failure> {
        self.grouped.failure()
    }

    /// The chain of causes. A NUL, should one get there, must not keep the failure from the ledger.
    fn error(&self) -> Option<String> {
        self.failure().map(|failure| storable(&failure.message))
    }

    fn simply_succeeded(&self) -> bool {
        matches!(
            self.state(),
            Some(EventState::Applied | EventState::Ignored)
        )
    }
}

/// Text without what the database takes for no text.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The number of an attempt, and the state of the event after it.
struct Attempt {
    number: i64,
    state: EventState,
}

const UPSERT: &str = concat!(
    "INSERT INTO events (source, event_id, event_type, subject, state, outcome, deliveries, \
     attempts, last_error, fingerprint, received_at, applied_at, next_attempt_at, payload, \
     headers) SELECT e.* FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], \
     $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::timestamptz[], \
     $12::timestamptz[], $13::timestamptz[], $14::bytea[], $15::text[]) AS e(source, event_id) \
     ORDER BY e.source COLLATE \"C\", e.event_id COLLATE \"C\" \
     ON CONFLICT (source, event_id) DO UPDATE SET ",
    unless_it_stands!("state"),
    unless_it_stands!("outcome"),
    unless_it_stands!("last_error", " OR excluded.outcome = 'paused'"),
    unless_it_stands!("fingerprint", " OR excluded.outcome = 'paused'"),
    unless_it_stands!("applied_at"),
    unless_it_stands!("next_attempt_at"),
    "subject = COALESCE(excluded.subject, events.subject), \
     deliveries = events.deliveries + excluded.deliveries, \
     attempts = events.attempts + CASE excluded.outcome WHEN 'paused' THEN 0 ELSE 1 END \
     WHERE (events.state NOT IN ('applied', 'ignored', 'discarded') \
     AND (events.state <> 'waiting' OR excluded.state NOT IN ('failed', 'retrying', 'queued'))) \
     OR (events.source, events.event_id) IN \
     (SELECT r.source, r.event_id FROM UNNEST($16::text[], $17::text[]) AS r(source, event_id)) \
     RETURNING source, event_id, attempts, state",
);

/// Writes the row of each event, and an attempt where it did not simply succeed at once.
pub(super) async fn write(
    connection: &mut PgConnection,
    groups: &[Grouped<'_>],
    outcomes: &[Outcome],
    now: Timestamp,
) -> Result<(), ApplyError> {
    let entries = groups.iter().zip(outcomes);
    let (mut duplicates, mut processed): (Vec<Entry<'_>>, Vec<Entry<'_>>) = entries
        .map(|(grouped, outcome)| Entry {
            grouped,
            outcome: *outcome,
        })
        .partition(|entry| entry.grouped.is_duplicate());
    let mut attempts = HashMap::new();
    if !processed.is_empty() && !duplicates.is_empty() {
        lock(connection, groups).await?;
    }
    if !processed.is_empty() {
        attempts = upsert(connection, &processed, now).await?;
        let overtaken = processed.extract_if(.., |entry| !attempts.contains_key(entry.key()));
        duplicates.extend(overtaken);
    }
    if !duplicates.is_empty() {
        count_deliveries(connection, &duplicates).await?;
    }
    let recorded: Vec<(&Attempt, &Entry<'_>)> = processed
        .iter()
        .filter_map(|entry| Some((attempts.get(entry.key())?, entry)))
        .filter(|(_, entry)| !entry.grouped.is_parked())
        .filter(|(attempt, entry)| attempt.number > 1 || !entry.simply_succeeded())
        .collect();
    if !recorded.is_empty() {
        record_attempts(connection, &recorded, now).await?;
    }
    Ok(())
}

/// Two statements write the rows of a batch that has both duplicates and others. What one worker takes for
/// a duplicate another may process, for a replay or since it has looked earlier: so that they do not wait
/// for each other in a circle, all rows that are there are locked first, in their order.
async fn lock(connection: &mut PgConnection, groups: &[Grouped<'_>]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT FROM UNNEST($1::text[], $2::text[]) AS wanted(source, event_id) \
         JOIN events AS e ON e.source = wanted.source AND e.event_id = wanted.event_id \
         ORDER BY e.source, e.event_id FOR UPDATE OF e",
    )
    .bind(column(groups, |grouped| {
        grouped.planned.event.key.source.as_str()
    }))
    .bind(column(groups, |grouped| {
        grouped.planned.event.key.id.as_str()
    }))
    .execute(connection)
    .await?;
    Ok(())
}

/// Answers the attempt for each event that was not settled by somebody else since.
async fn upsert(
    connection: &mut PgConnection,
    entries: &[Entry<'_>],
    now: Timestamp,
) -> Result<HashMap<EventKey, Attempt>, ApplyError> {
    let replayed: Vec<&EventKey> = entries
        .iter()
        .filter(|entry| entry.grouped.is_replayed())
        .map(Entry::key)
        .collect();
    let rows = sqlx::query(UPSERT)
        .bind(column(entries, |entry| entry.key().source.as_str()))
        .bind(column(entries, |entry| entry.key().id.as_str()))
        .bind(column(entries, |entry| {
            entry.grouped.planned.event.event_type.as_str()
        }))
        .bind(column(entries, |entry| {
            entry.grouped.planned.subject.as_deref()
        }))
        .bind(column(entries, |entry| {
            entry.state().map(EventState::as_str)
        }))
        .bind(column(entries, |entry| entry.outcome.as_str()))
        .bind(column(entries, |entry| i64::from(entry.grouped.deliveries)))
        .bind(column(entries, |entry| i64::from(entry.grouped.attempt())))
        .bind(column(entries, Entry::error))
        .bind(column(entries, |entry| {
            entry.failure().map(|failure| failure.fingerprint.as_str())
        }))
        // The first delivery's time, headers and bytes stand: later ones are the same event.
        .bind(column(entries, |entry| {
            stored(entry.grouped.planned.event.received_at)
        }))
        .bind(column(entries, |entry| {
            (entry.state() == Some(EventState::Applied)).then(|| stored(now))
        }))
        .bind(column(entries, |entry| {
            entry.outcome.next_attempt_at().map(stored)
        }))
        .bind(column(entries, |entry| {
            let planned = entry.grouped.planned;
            planned.keep_payload.then_some(&planned.event.body[..])
        }))
        .bind(column(entries, |entry| {
            entry.grouped.planned.event.headers.as_json()
        }))
        .bind(column(&replayed, |key| key.source.as_str()))
        .bind(column(&replayed, |key| key.id.as_str()))
        .fetch_all(connection)
        .await?;
    let mut attempts = HashMap::with_capacity(rows.len());
    for row in &rows {
        let key = read_key(row)?;
        let name = key.to_string();
        let reader = Reader::new("events", &name, row);
        let attempt = Attempt {
            number: reader.get("attempts")?,
            state: reader.parse("state", EventState::parse)?,
        };
        attempts.insert(key, attempt);
    }
    Ok(attempts)
}

async fn count_deliveries(
    connection: &mut PgConnection,
    duplicates: &[Entry<'_>],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH duplicates AS MATERIALIZED (\
         SELECT e.source, e.event_id, d.deliveries \
         FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS d(source, event_id, deliveries) \
         JOIN events AS e ON e.source = d.source AND e.event_id = d.event_id \
         ORDER BY e.source, e.event_id FOR UPDATE OF e) \
         UPDATE events AS e SET deliveries = e.deliveries + d.deliveries FROM duplicates AS d \
         WHERE e.source = d.source AND e.event_id = d.event_id",
    )
    .bind(column(duplicates, |entry| entry.key().source.as_str()))
    .bind(column(duplicates, |entry| entry.key().id.as_str()))
    .bind(column(duplicates, |entry| {
        i64::from(entry.grouped.deliveries)
    }))
    .execute(connection)
    .await?;
    Ok(())
}

async fn record_attempts(
    connection: &mut PgConnection,
    attempts: &[(&Attempt, &Entry<'_>)],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO event_attempts \
         (source, event_id, attempt, at, trigger, state, outcome, error) \
         SELECT a.source, a.event_id, a.attempt, $8, a.trigger, a.state, a.outcome, a.error \
         FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], \
         $7::text[]) AS a(source, event_id, attempt, trigger, state, outcome, error) \
         ON CONFLICT (source, event_id, attempt) DO NOTHING",
    )
    .bind(column(attempts, |(_, entry)| entry.key().source.as_str()))
    .bind(column(attempts, |(_, entry)| entry.key().id.as_str()))
    .bind(column(attempts, |(attempt, _)| attempt.number))
    .bind(column(attempts, |(_, entry)| {
        entry.grouped.planned.event.trigger.name().into_owned()
    }))
    .bind(column(attempts, |(attempt, _)| attempt.state.as_str()))
    .bind(column(attempts, |(_, entry)| entry.outcome.as_str()))
    .bind(column(attempts, |(_, entry)| entry.error()))
    .bind(stored(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Payments that waited for their user and have one now.
pub(super) async fn release(
    connection: &mut PgConnection,
    subjects: &[String],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if subjects.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH waiting AS MATERIALIZED (\
         SELECT source, event_id FROM events WHERE state = 'waiting' AND subject = ANY($3) \
         ORDER BY source, event_id FOR UPDATE) \
         UPDATE events AS e SET state = 'applied', outcome = $1, applied_at = $2 FROM waiting AS w \
         WHERE e.source = w.source AND e.event_id = w.event_id",
    )
    .bind(Outcome::PaymentRecorded.as_str())
    .bind(stored(now))
    .bind(subjects)
    .execute(connection)
    .await?;
    Ok(())
}
