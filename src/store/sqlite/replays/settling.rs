//! What a worker does to replays, in the transaction of its batch.

use sqlx::SqliteConnection;

use crate::model::changes::Planned;
use crate::model::event::Trigger;
use crate::model::time::Timestamp;
use crate::store::fold::{OpenReplay, OpenReplays};
use crate::store::problem::ApplyError;
use crate::store::replays::Settled;

/// What is open of the replays that a batch names.
pub(in crate::store::sqlite) async fn open(
    connection: &mut SqliteConnection,
    batch: &[Planned],
) -> Result<OpenReplays, ApplyError> {
    let mut open = OpenReplays::new();
    for planned in batch {
        let Trigger::Replay(replay) = planned.event.trigger else {
            continue;
        };
        let key = &planned.event.key;
        let position = sqlx::query_scalar(
            "SELECT position FROM replay_events \
             WHERE source = ? AND event_id = ? AND replay_id = ? AND state IN ('pending', 'queued')",
        )
        .bind(key.source.as_str())
        .bind(key.id.as_str())
        .bind(replay.get())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(position) = position {
            let found = OpenReplay { replay, position };
            open.entry(key.clone()).or_default().push(found);
        }
    }
    Ok(open)
}

/// Settles events, and lets those go that waited for them.
pub(in crate::store::sqlite) async fn settle(
    connection: &mut SqliteConnection,
    settled: &[Settled<'_>],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let now = now.to_string();
    for settled in settled {
        sqlx::query(
            "UPDATE replay_events SET state = 'done', leased_until = NULL, outcome = ?3, \
             error = ?4, fingerprint = ?5, settled_at = ?6, state_after = (SELECT e.state \
             FROM events AS e WHERE e.source = replay_events.source \
             AND e.event_id = replay_events.event_id) \
             WHERE replay_id = ?1 AND position = ?2",
        )
        .bind(settled.replay.get())
        .bind(settled.position)
        .bind(settled.outcome)
        .bind(settled.error.as_deref())
        .bind(settled.fingerprint)
        .bind(&now)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "UPDATE replay_events INDEXED BY replay_events_held SET state = 'pending' \
             WHERE replay_id = ? AND follows = ? AND state = 'held'",
        )
        .bind(settled.replay.get())
        .bind(settled.position)
        .execute(&mut *connection)
        .await?;
    }
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
