//! Reading `replays` and `replay_events`.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::ledger::read_key;
use super::super::rows::Reader;
use super::super::{SqliteStore, StoreError};
use crate::model::event::EventKey;
use crate::model::replay::{
    Replay, ReplayId, ReplayOfEvent, ReplayOutcome, ReplayProgress, ReplayRate, ReplayRecord,
    ReplayState, ReplayStep, ReplayedEvent,
};
use crate::model::state::EventState;
use crate::store::problem::unavailable;

/// Only what runs has open events; that keeps listings from counting old ones.
const REPLAYS: &str = "SELECT id, created_at, operator, reason, filter, at_most, \
     rate, total, state, cancelled, cancelled_by, cancel_reason, finished_at, \
     CASE WHEN state = 'running' THEN (SELECT COUNT(*) FROM replay_events AS e \
      WHERE e.replay_id = r.id AND e.state IN ('held', 'pending', 'queued')) ELSE 0 END AS open \
     FROM replays AS r";

/// Replays, newest first.
pub(super) async fn list(store: &SqliteStore, limit: u32) -> Result<Vec<Replay>, StoreError> {
    let action = "list replays";
    let rows = QueryBuilder::<Sqlite>::new(REPLAYS)
        .push(" ORDER BY id DESC LIMIT ")
        .push_bind(i64::from(limit))
        .build()
        .fetch_all(&store.readers)
        .await
        .map_err(unavailable(action))?;
    rows.iter().map(replay).collect()
}

/// The row of one replay, for [`replay`].
pub(super) async fn one(
    connection: &mut SqliteConnection,
    id: ReplayId,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    QueryBuilder::<Sqlite>::new(REPLAYS)
        .push(" WHERE id = ")
        .push_bind(id.get())
        .build()
        .fetch_optional(connection)
        .await
}

/// Reads what [`one`] found.
pub(super) fn replay(row: &SqliteRow) -> Result<Replay, StoreError> {
    let number: i64 = row.try_get("id").unwrap_or_default();
    let name = number.to_string();
    let reader = Reader::new("replays", &name, row);
    let total: u64 = reader.count("total")?;
    let cancelled: u64 = reader.count("cancelled")?;
    let open: u64 = reader.count("open")?;
    let limit: Option<i64> = reader.get("at_most")?;
    Ok(Replay {
        id: ReplayId::new(number).ok_or_else(|| reader.damaged("id"))?,
        state: reader.parse("state", ReplayState::parse)?,
        created_at: reader.time("created_at")?,
        operator: reader.get("operator")?,
        reason: reader.get("reason")?,
        filter: reader.parse("filter", |text| serde_json::from_str(text).ok())?,
        limit: limit.and_then(|limit| u64::try_from(limit).ok()),
        rate: ReplayRate::new(reader.count("rate")?).ok_or_else(|| reader.damaged("rate"))?,
        total,
        done: total.saturating_sub(cancelled + open),
        cancelled,
        finished_at: reader.optional_time("finished_at")?,
        cancelled_by: reader.get("cancelled_by")?,
        cancel_reason: reader.get("cancel_reason")?,
    })
}

/// One replay with what came of it.
pub(super) async fn find(
    store: &SqliteStore,
    id: ReplayId,
) -> Result<Option<ReplayRecord>, StoreError> {
    let action = "read a replay";
    let mut snapshot = store.readers.begin().await.map_err(unavailable(action))?;
    let row = one(&mut snapshot, id).await.map_err(unavailable(action))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let steps = sqlx::query(
        "SELECT state, COUNT(*) AS events FROM replay_events \
         WHERE replay_id = ?1 AND state IN ('held', 'pending', 'queued') GROUP BY state",
    )
    .bind(id.get())
    .fetch_all(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;
    let outcomes = sqlx::query(
        "SELECT g.outcome, g.state_after, g.fingerprint, g.events, e.source, e.event_id FROM (\
         SELECT outcome, state_after, fingerprint, COUNT(*) AS events, MIN(position) AS first \
         FROM replay_events WHERE replay_id = ?1 AND state = 'done' \
         GROUP BY outcome, state_after, fingerprint) AS g \
         JOIN replay_events AS e ON e.replay_id = ?1 AND e.position = g.first \
         ORDER BY g.events DESC, g.first",
    )
    .bind(id.get())
    .fetch_all(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;
    let mut record = ReplayRecord {
        replay: replay(&row)?,
        held: 0,
        pending: 0,
        queued: 0,
        outcomes: outcomes.iter().map(outcome).collect::<Result<_, _>>()?,
    };
    for row in &steps {
        let reader = Reader::new("replay_events", "a group", row);
        let events = reader.count("events")?;
        match reader.parse("state", ReplayStep::parse)? {
            ReplayStep::Held => record.held = events,
            ReplayStep::Pending => record.pending = events,
            ReplayStep::Queued => record.queued = events,
            ReplayStep::Done | ReplayStep::Cancelled => {}
        }
    }
    Ok(Some(record))
}

fn outcome(row: &SqliteRow) -> Result<ReplayOutcome, StoreError> {
    let example = read_key(row)?;
    let reader = Reader::new("replay_events", "a group", row);
    Ok(ReplayOutcome {
        outcome: reader.get("outcome")?,
        state: reader.parse_optional("state_after", EventState::parse)?,
        fingerprint: reader.get("fingerprint")?,
        events: reader.count("events")?,
        example,
    })
}

/// The events of a replay behind a position.
pub(super) async fn events(
    store: &SqliteStore,
    id: ReplayId,
    after: u64,
    limit: u32,
) -> Result<Vec<ReplayedEvent>, StoreError> {
    let action = "list the events of a replay";
    let rows = sqlx::query(
        "SELECT position, source, event_id, subject, state, outcome, state_after, error, settled_at \
         FROM replay_events WHERE replay_id = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
    )
    .bind(id.get())
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(i64::from(limit))
    .fetch_all(&store.readers)
    .await
    .map_err(unavailable(action))?;
    rows.iter().map(replayed_event).collect()
}

fn replayed_event(row: &SqliteRow) -> Result<ReplayedEvent, StoreError> {
    let key = read_key(row)?;
    let name = key.to_string();
    let reader = Reader::new("replay_events", &name, row);
    Ok(ReplayedEvent {
        position: reader.count("position")?,
        subject: reader.get("subject")?,
        step: reader.parse("state", ReplayStep::parse)?,
        outcome: reader.get("outcome")?,
        state: reader.parse_optional("state_after", EventState::parse)?,
        error: reader.get("error")?,
        settled_at: reader.optional_time("settled_at")?,
        key,
    })
}

/// The replays that have an event.
pub(super) async fn of_event(
    store: &SqliteStore,
    key: &EventKey,
) -> Result<Vec<ReplayOfEvent>, StoreError> {
    let action = "list the replays of an event";
    let rows = sqlx::query(
        "SELECT r.id, r.created_at, r.operator, r.reason, e.state, e.outcome, e.state_after, \
         e.error, e.settled_at FROM replay_events AS e JOIN replays AS r ON r.id = e.replay_id \
         WHERE e.source = ?1 AND e.event_id = ?2 ORDER BY r.id",
    )
    .bind(key.source.as_str())
    .bind(key.id.as_str())
    .fetch_all(&store.readers)
    .await
    .map_err(unavailable(action))?;
    let name = key.to_string();
    let replays = rows.iter().map(|row| {
        let reader = Reader::new("replay_events", &name, row);
        let id = ReplayId::new(reader.get("id")?);
        Ok(ReplayOfEvent {
            replay: id.ok_or_else(|| reader.damaged("replay_id"))?,
            created_at: reader.time("created_at")?,
            operator: reader.get("operator")?,
            reason: reader.get("reason")?,
            step: reader.parse("state", ReplayStep::parse)?,
            outcome: reader.get("outcome")?,
            state: reader.parse_optional("state_after", EventState::parse)?,
            error: reader.get("error")?,
            settled_at: reader.optional_time("settled_at")?,
        })
    });
    replays.collect()
}

/// How far the running replays are.
pub(super) async fn running(store: &SqliteStore) -> Result<Vec<ReplayProgress>, StoreError> {
    let action = "read how far replays are";
    let rows = QueryBuilder::<Sqlite>::new(REPLAYS)
        .push(" WHERE state = 'running' ORDER BY id")
        .build()
        .fetch_all(&store.readers)
        .await
        .map_err(unavailable(action))?;
    let replays = rows.iter().map(replay);
    let progress = replays.map(|replay| {
        let Replay {
            id, total, done, ..
        } = replay?;
        Ok(ReplayProgress { id, total, done })
    });
    progress.collect()
}
