//! What a worker does to replays, in the transaction of its batch.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::super::ledger::read_key;
use super::super::rows::Reader;

use crate::model::changes::Planned;
use crate::model::event::Trigger;
use crate::model::replay::ReplayId;
use crate::model::time::Timestamp;
use crate::store::fold::{OpenReplay, OpenReplays};
use crate::store::problem::ApplyError;
use crate::store::replays::Settled;

/// What is open of the replays that a batch names.
pub(in crate::store::sqlite) async fn open(
    connection: &mut SqliteConnection,
    batch: &[Planned],
) -> Result<OpenReplays, ApplyError> {
    let named = batch.iter().filter_map(|planned| {
        let Trigger::Replay(replay) = planned.event.trigger else {
            return None;
        };
        let key = &planned.event.key;
        Some((key.source.as_str(), key.id.as_str(), replay.get()))
    });
    let named: BTreeSet<_> = named.collect();
    let rows = sqlx::query(
        "SELECT r.source, r.event_id, r.replay_id, r.position FROM json_each(?) AS n \
         CROSS JOIN replay_events AS r INDEXED BY replay_events_by_event \
         ON r.source = n.value ->> 0 AND r.event_id = n.value ->> 1 AND r.replay_id = n.value ->> 2 \
         WHERE r.state IN ('pending', 'queued')",
    )
    .bind(json!(named).to_string())
    .fetch_all(connection)
    .await?;
    let mut open = OpenReplays::new();
    for row in &rows {
        let key = read_key(row)?;
        let name = key.to_string();
        let reader = Reader::new("replay_events", &name, row);
        let replay = ReplayId::new(reader.get("replay_id")?);
        let found = OpenReplay {
            replay: replay.ok_or_else(|| reader.damaged("replay_id"))?,
            position: reader.get("position")?,
        };
        open.entry(key).or_default().push(found);
    }
    Ok(open)
}

/// Settles events, and lets those go that waited for them. A statement for each event would be what a
/// batch with replayed events spends most of its time on, and live events wait for that.
pub(in crate::store::sqlite) async fn settle(
    connection: &mut SqliteConnection,
    settled: &[Settled<'_>],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let rows = settled.iter().map(|settled| {
        json!([
            settled.replay.get(),
            settled.position,
            settled.outcome,
            settled.error,
            settled.fingerprint,
        ])
    });
    let rows = Value::from_iter(rows).to_string();
    sqlx::query(
        "UPDATE replay_events SET state = 'done', leased_until = NULL, outcome = s.value ->> 2, \
         error = s.value ->> 3, fingerprint = s.value ->> 4, settled_at = ?2, \
         state_after = (SELECT e.state FROM events AS e WHERE e.source = replay_events.source \
         AND e.event_id = replay_events.event_id) FROM json_each(?1) AS s \
         WHERE replay_id = s.value ->> 0 AND position = s.value ->> 1",
    )
    .bind(&rows)
    .bind(now.to_string())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE replay_events INDEXED BY replay_events_held SET state = 'pending' \
         FROM json_each(?) AS s \
         WHERE replay_id = s.value ->> 0 AND follows = s.value ->> 1 AND state = 'held'",
    )
    .bind(&rows)
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets these go onto the queue again.
pub(in crate::store::sqlite) async fn put_back(
    connection: &mut SqliteConnection,
    open: &[OpenReplay],
) -> Result<(), sqlx::Error> {
    for open in open {
        sqlx::query(
            "UPDATE replay_events SET state = 'pending', leased_until = NULL \
             WHERE replay_id = ? AND position = ?",
        )
        .bind(open.replay.get())
        .bind(open.position)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
