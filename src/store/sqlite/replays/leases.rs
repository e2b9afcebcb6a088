//! Handing out the events of running replays, at their pace.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::super::ledger::read_key;
use super::super::rows::Reader;
use super::super::{SqliteStore, StoreError};
use super::settling::settle;
use crate::model::event::{Event, EventKey, EventType, Trigger};
use crate::model::headers::KeptHeaders;
use crate::model::replay::pace::Pace;
use crate::model::replay::{ReplayId, ReplayLease, ReplayRate, ReplayRound};
use crate::model::time::Timestamp;
use crate::store::problem::unavailable;
use crate::store::replays::{PAYLOAD_GONE, ROW_DAMAGED, STALLED_AFTER, Settled};

const DOING: &str = "lease events of replays";

/// Leases what the pace of each running replay allows.
pub(super) async fn lease(
    store: &SqliteStore,
    now: Timestamp,
    until: Timestamp,
) -> Result<ReplayRound, StoreError> {
    let running = look(store, now).await?;
    let mut round = ReplayRound {
        running: running.iter().any(Running::moves),
        leases: Vec::new(),
    };
    for replay in running {
        if !replay.open {
            finish(store, replay.id, now).await?;
        } else if replay.ready && replay.pace.allows(now) > 0 {
            round
                .leases
                .extend(take(store, replay.id, now, until).await?);
        } else if replay.overdue == Some(true) && !replay.ready {
            put_back_what_stalled(store, replay.id, now).await?;
        }
    }
    Ok(round)
}

/// A running replay, and what there is to do for it.
struct Running {
    id: ReplayId,
    pace: Pace,
    /// Something is not settled.
    open: bool,
    /// Something can be leased.
    ready: bool,
    /// Whether what has been on the queue for longest has been there for long; `None`: nothing is there.
    overdue: Option<bool>,
}

impl Running {
    /// Whether there is something to do soon: not if all that is left waits for its source to be resumed.
    const fn moves(&self) -> bool {
        !self.open || self.ready || self.overdue.is_some()
    }
}

/// SQLite knows nothing of how the rows are spread, and would read whole replays: it is told which index
/// to use here. It uses a partial one only if its condition is there word for word.
///
/// Looking first keeps an idle scheduler from writing, and so from syncing, all the time.
async fn look(store: &SqliteStore, now: Timestamp) -> Result<Vec<Running>, StoreError> {
    let rows = sqlx::query(
        "SELECT r.id, r.rate, r.paced_until, \
         EXISTS (SELECT 1 FROM replay_events AS e WHERE e.replay_id = r.id \
          AND e.state IN ('held', 'pending', 'queued')) AS open, \
         EXISTS (SELECT 1 FROM replay_events AS e INDEXED BY replay_events_open \
          WHERE e.replay_id = r.id AND e.state = 'pending' \
          AND e.state IN ('held', 'pending', 'queued') \
           AND (e.leased_until IS NULL OR e.leased_until <= ?1) \
           AND NOT EXISTS (SELECT 1 FROM source_pauses AS p \
           WHERE p.source = e.source AND p.resumed_at IS NULL)) AS ready, \
         (SELECT e.leased_until <= ?1 \
          FROM replay_events AS e INDEXED BY replay_events_open WHERE e.replay_id = r.id \
          AND e.state = 'queued' AND e.state IN ('held', 'pending', 'queued') \
          ORDER BY e.position LIMIT 1) AS overdue \
         FROM replays AS r WHERE r.state = 'running' ORDER BY r.id",
    )
    .bind(now.to_string())
    .fetch_all(&store.readers)
    .await
    .map_err(unavailable(DOING))?;
    rows.iter().map(running).collect()
}

fn running(row: &SqliteRow) -> Result<Running, StoreError> {
    let (id, pace) = pace(row)?;
    let name = id.to_string();
    let reader = Reader::new("replays", &name, row);
    Ok(Running {
        id,
        pace,
        open: reader.get("open")?,
        ready: reader.get("ready")?,
        overdue: reader.get("overdue")?,
    })
}

fn pace(row: &SqliteRow) -> Result<(ReplayId, Pace), StoreError> {
    let number: i64 = row.try_get("id").unwrap_or_default();
    let name = number.to_string();
    let reader = Reader::new("replays", &name, row);
    let rate = ReplayRate::new(reader.count("rate")?);
    let pace = Pace {
        rate: rate.ok_or_else(|| reader.damaged("rate"))?,
        until: reader.time("paced_until")?,
    };
    let id = ReplayId::new(number).ok_or_else(|| reader.damaged("id"))?;
    Ok((id, pace))
}

/// Ends a replay whose events are all settled. None of them is ever opened again.
async fn finish(store: &SqliteStore, id: ReplayId, now: Timestamp) -> Result<(), StoreError> {
    let mut transaction = store.begin(DOING).await?;
    sqlx::query(
        "UPDATE replays SET state = 'done', finished_at = COALESCE((SELECT MAX(e.settled_at) \
         FROM replay_events AS e WHERE e.replay_id = ?1 AND e.state = 'done'), ?2) \
         WHERE id = ?1 AND state = 'running'",
    )
    .bind(id.get())
    .bind(now.to_string())
    .execute(&mut *transaction)
    .await
    .map_err(unavailable(DOING))?;
    transaction.commit().await.map_err(unavailable(DOING))
}

/// Nothing of a replay moves: what is on the queue may be leased again.
async fn put_back_what_stalled(
    store: &SqliteStore,
    id: ReplayId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let since = now.minus(STALLED_AFTER);
    let mut transaction = store.begin(DOING).await?;
    let put_back = sqlx::query(
        "UPDATE replay_events INDEXED BY replay_events_open \
         SET state = 'pending', leased_until = NULL \
         WHERE replay_id = ?1 AND state = 'queued' AND state IN ('held', 'pending', 'queued') \
         AND leased_until <= ?2 AND NOT EXISTS (SELECT 1 FROM replay_events AS e \
          WHERE e.replay_id = ?1 AND e.state = 'done' AND e.settled_at > ?3)",
    )
    .bind(id.get())
    .bind(now.to_string())
    .bind(since.to_string())
    .execute(&mut *transaction)
    .await
    .map_err(unavailable(DOING))?;
    transaction.commit().await.map_err(unavailable(DOING))?;
    if put_back.rows_affected() > 0 {
        tracing::warn!(
            replay = %id,
            events = put_back.rows_affected(),
            "nothing of replay {id} was processed for long: what should be on the queue goes there \
             again"
        );
    }
    Ok(())
}

/// Leases what is ready, and moves the pace on, together.
async fn take(
    store: &SqliteStore,
    id: ReplayId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<ReplayLease>, StoreError> {
    let mut transaction = store.begin(DOING).await?;
    let row =
        sqlx::query("SELECT id, rate, paced_until FROM replays WHERE id = ? AND state = 'running'")
            .bind(id.get())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(unavailable(DOING))?;
    let Some(row) = row else {
        return Ok(Vec::new());
    };
    let (_, pace) = pace(&row)?;
    let rows = sqlx::query(
        "SELECT r.position, r.source, r.event_id, e.event_type, e.received_at, e.payload \
         FROM replay_events AS r INDEXED BY replay_events_open \
         LEFT JOIN events AS e ON e.source = r.source AND e.event_id = r.event_id \
         WHERE r.replay_id = ?1 AND r.state = 'pending' \
         AND r.state IN ('held', 'pending', 'queued') \
         AND (r.leased_until IS NULL OR r.leased_until <= ?2) \
         AND NOT EXISTS (SELECT 1 FROM source_pauses AS p \
          WHERE p.source = r.source AND p.resumed_at IS NULL) \
         ORDER BY r.position LIMIT ?3",
    )
    .bind(id.get())
    .bind(now.to_string())
    .bind(i64::from(pace.allows(now)))
    .fetch_all(&mut *transaction)
    .await
    .map_err(unavailable(DOING))?;
    let mut leases = Vec::with_capacity(rows.len());
    let mut lost = Vec::new();
    for row in &rows {
        let position = Reader::new("replay_events", "a leased one", row).get("position")?;
        let key = read_key(row)?;
        match event(row, &key, id) {
            Ok(Some(event)) => leases.push(ReplayLease {
                replay: id,
                position,
                event,
                until,
            }),
            Ok(None) => lost.push((position, key, PAYLOAD_GONE, None)),
            // A row that was damaged by hand must not hold up the others.
            Err(error) => lost.push((position, key, ROW_DAMAGED, Some(error.to_string()))),
        }
    }
    let recorded = record(&mut transaction, id, pace, &leases, &lost, now).await;
    recorded.map_err(unavailable(DOING))?;
    transaction.commit().await.map_err(unavailable(DOING))?;
    Ok(leases)
}

/// What cannot be processed, and why.
type Lost = (i64, EventKey, &'static str, Option<String>);

async fn record(
    connection: &mut SqliteConnection,
    id: ReplayId,
    pace: Pace,
    leases: &[ReplayLease],
    lost: &[Lost],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if let Some(first) = leases.first() {
        let positions: Vec<i64> = leases.iter().map(|lease| lease.position).collect();
        sqlx::query(
            "UPDATE replay_events SET leased_until = ? WHERE replay_id = ? \
             AND position IN (SELECT value FROM json_each(?))",
        )
        .bind(first.until.to_string())
        .bind(id.get())
        .bind(json!(positions).to_string())
        .execute(&mut *connection)
        .await?;
    }
    let settled = lost
        .iter()
        .map(|(position, event, outcome, error)| Settled {
            replay: id,
            position: *position,
            event,
            outcome,
            error: error.clone(),
            fingerprint: None,
        });
    let settled: Vec<_> = settled.collect();
    if !settled.is_empty() {
        settle(&mut *connection, &settled, now).await?;
    }
    let leased = u32::try_from(leases.len()).unwrap_or(u32::MAX);
    sqlx::query("UPDATE replays SET paced_until = ?2 WHERE id = ?1")
        .bind(id.get())
        .bind(pace.after(leased, now).until.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// The event as it came first; `None` if its payload is not kept any more.
fn event(row: &SqliteRow, key: &EventKey, replay: ReplayId) -> Result<Option<Event>, StoreError> {
    let name = key.to_string();
    let reader = Reader::new("events", &name, row);
    let Some(body) = reader.get::<Option<Vec<u8>>>("payload")? else {
        return Ok(None);
    };
    Ok(Some(Event {
        event_type: reader.parse("event_type", EventType::parse)?,
        received_at: reader.time("received_at")?,
        trigger: Trigger::Replay(replay),
        headers: KeptHeaders::default(),
        trace: None,
        body: body.into(),
        key: key.clone(),
    }))
}

/// Records that these are on the queue.
pub(super) async fn queued(
    store: &SqliteStore,
    leases: &[ReplayLease],
    now: Timestamp,
) -> Result<(), StoreError> {
    let action = "record that events of replays are on the queue";
    let mut transaction = store.begin(action).await?;
    let expected = now.plus(STALLED_AFTER).to_string();
    let rows = leases.iter();
    let rows = rows.map(|lease| json!([lease.replay, lease.position, lease.until]));
    sqlx::query(
        "UPDATE replay_events SET state = 'queued', leased_until = ?2 FROM json_each(?1) AS l \
         WHERE replay_id = l.value ->> 0 AND position = l.value ->> 1 AND state = 'pending' \
         AND leased_until = l.value ->> 2",
    )
    .bind(Value::from_iter(rows).to_string())
    .bind(&expected)
    .execute(&mut *transaction)
    .await
    .map_err(unavailable(action))?;
    transaction.commit().await.map_err(unavailable(action))
}
