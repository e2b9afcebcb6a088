//! Reading `events` and `event_attempts`.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder};

use super::super::problem::unavailable;
use super::ledger::read_key;
use super::rows::{Reader, column};
use super::{PostgresStore, StoreError};
use crate::model::event::{EventKey, EventType};
use crate::model::headers::KeptHeaders;
use crate::model::ledger::{
    Attempt, EventCounts, EventRecord, EventSummary, IgnoredCount, StateCount, WaitingCount,
};
use crate::model::retention::{Departure, Remains};
use crate::model::source::SourceName;
use crate::model::state::EventState;

/// The columns that [`summary`] reads.
pub(super) const SUMMARY: &str = "source, event_id, event_type, subject, state, outcome, deliveries, attempts, \
     last_error, fingerprint, received_at, applied_at, next_attempt_at";

/// Reads what a listing shows.
pub(super) fn summary(row: &PgRow) -> Result<EventSummary, StoreError> {
    let key = read_key(row)?;
    let name = key.to_string();
    let reader = Reader::new("events", &name, row);
    Ok(EventSummary {
        event_type: reader.parse("event_type", EventType::parse)?,
        subject: reader.get("subject")?,
        state: reader.parse("state", EventState::parse)?,
        outcome: reader.get("outcome")?,
        deliveries: reader.count("deliveries")?,
        attempts: reader.count("attempts")?,
        last_error: reader.get("last_error")?,
        fingerprint: reader.get("fingerprint")?,
        received_at: reader.time("received_at")?,
        applied_at: reader.optional_time("applied_at")?,
        next_attempt_at: reader.optional_time("next_attempt_at")?,
        key,
    })
}

/// One event in full.
pub(super) async fn find(
    store: &PostgresStore,
    key: &EventKey,
) -> Result<Option<EventRecord>, StoreError> {
    let action = "read an event";
    let mut snapshot = store.snapshot(action).await?;
    let row = QueryBuilder::<Postgres>::new("SELECT ")
        .push(SUMMARY)
        .push(
            ", payload, payload_gone, payload_gone_at, payload_sha256, headers FROM events WHERE source = ",
        )
        .push_bind(key.source.as_str())
        .push(" AND event_id = ")
        .push_bind(key.id.as_str())
        .build()
        .fetch_optional(&mut *snapshot)
        .await
        .map_err(unavailable(action))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let attempts = sqlx::query(
        "SELECT attempt, at, trigger, state, outcome, error FROM event_attempts \
         WHERE source = $1 AND event_id = $2 ORDER BY attempt",
    )
    .bind(key.source.as_str())
    .bind(key.id.as_str())
    .fetch_all(&mut *snapshot)
    .await
    .map_err(unavailable("read the attempts of an event"))?;
    let name = key.to_string();
    let reader = Reader::new("events", &name, &row);
    Ok(Some(EventRecord {
        summary: summary(&row)?,
        attempts: attempts
            .iter()
            .map(|row| attempt(&name, row))
            .collect::<Result<_, _>>()?,
        headers: reader
            .get::<Option<String>>("headers")?
            .map(|written| KeptHeaders::parse(&written))
            .unwrap_or_default(),
        payload: reader.get("payload")?,
        remains: remains(&reader)?,
    }))
}

fn remains(reader: &Reader<'_>) -> Result<Option<Remains>, StoreError> {
    let Some(why) = reader.parse_optional("payload_gone", Departure::parse)? else {
        return Ok(None);
    };
    Ok(Some(Remains {
        why,
        at: reader.time("payload_gone_at")?,
        sha256: reader.get("payload_sha256")?,
    }))
}

/// Reads an attempt.
pub(super) fn attempt(key: &str, row: &PgRow) -> Result<Attempt, StoreError> {
    let reader = Reader::new("event_attempts", key, row);
    Ok(Attempt {
        attempt: reader.count("attempt")?,
        at: reader.time("at")?,
        trigger: reader.get("trigger")?,
        state: reader.parse("state", EventState::parse)?,
        outcome: reader.get("outcome")?,
        error: reader.get("error")?,
    })
}

/// How many events there are by source and state, why the ignored ones were, which wait, and how many
/// of `queued` are not among them.
pub(super) async fn count(
    store: &PostgresStore,
    queued: &[EventKey],
) -> Result<EventCounts, StoreError> {
    let action = "count events";
    let mut snapshot = store.snapshot(action).await?;
    let rows = sqlx::query(
        "SELECT source, state, COUNT(*) AS events, SUM(deliveries)::bigint AS deliveries \
         FROM events GROUP BY source, state ORDER BY source, state",
    )
    .fetch_all(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;
    let ignored = sqlx::query(
        "SELECT source, outcome, COUNT(*) AS events FROM events WHERE state = 'ignored' \
         GROUP BY source, outcome ORDER BY source, outcome",
    )
    .fetch_all(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;
    let waiting = sqlx::query(
        "SELECT COUNT(DISTINCT subject) AS payments, COUNT(*) AS events, MIN(received_at) AS oldest \
         FROM events WHERE state = 'waiting'",
    )
    .fetch_one(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;
    let unknown = sqlx::query(
        "SELECT COUNT(*) AS unknown \
         FROM UNNEST($1::text[], $2::text[]) AS queued(source, event_id) \
         LEFT JOIN events AS e ON e.source = queued.source AND e.event_id = queued.event_id \
         WHERE e.event_id IS NULL",
    )
    .bind(column(queued, |key| key.source.as_str()))
    .bind(column(queued, |key| key.id.as_str()))
    .fetch_one(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;

    let states = rows.iter().map(|row| {
        let reader = Reader::new("events", "a group", row);
        Ok(StateCount {
            source: reader.parse("source", SourceName::parse)?,
            state: reader.parse("state", EventState::parse)?,
            events: reader.count("events")?,
            deliveries: reader.count("deliveries")?,
        })
    });
    let ignored = ignored.iter().map(|row| {
        let reader = Reader::new("events", "a group", row);
        Ok(IgnoredCount {
            source: reader.parse("source", SourceName::parse)?,
            outcome: reader.get("outcome")?,
            events: reader.count("events")?,
        })
    });
    let waiting = Reader::new("events", "those that wait", &waiting);
    Ok(EventCounts {
        states: states.collect::<Result<_, StoreError>>()?,
        ignored: ignored.collect::<Result<_, StoreError>>()?,
        waiting: WaitingCount {
            payments: waiting.count("payments")?,
            events: waiting.count("events")?,
            oldest_received_at: waiting.optional_time("oldest")?,
        },
        unknown: Reader::new("events", "those asked for", &unknown).count("unknown")?,
    })
}
