//! What a worker does to replays, in the transaction of its batch.

use sqlx::PgConnection;

use super::super::ledger::{read_key, storable};
use super::super::rows::{Reader, column, stored};
use crate::model::changes::Planned;
use crate::model::event::Trigger;
use crate::model::replay::ReplayId;
use crate::model::time::Timestamp;
use crate::store::fold::{OpenReplay, OpenReplays};
use crate::store::problem::ApplyError;
use crate::store::replays::Settled;

/// What is open of the replays that a batch names, locked.
pub(in crate::store::postgres) async fn open(
    connection: &mut PgConnection,
    batch: &[Planned],
) -> Result<OpenReplays, ApplyError> {
    let named = batch.iter().filter_map(|planned| {
        let Trigger::Replay(replay) = planned.event.trigger else {
            return None;
        };
        Some((&planned.event.key, replay.get()))
    });
    let named: Vec<_> = named.collect();
    let rows = sqlx::query(
        "SELECT source, event_id, replay_id, position FROM replay_events AS r \
         WHERE (source, event_id, replay_id) IN \
         (SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[])) \
         AND state IN ('pending', 'queued') ORDER BY replay_id, position FOR UPDATE OF r",
    )
    .bind(column(&named, |(key, _)| key.source.as_str()))
    .bind(column(&named, |(key, _)| key.id.as_str()))
    .bind(column(&named, |(_, replay)| *replay))
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

/// Settles events that are locked, and lets those go that waited for them.
pub(in crate::store::postgres) async fn settle(
    connection: &mut PgConnection,
    settled: &[Settled<'_>],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let replays = column(settled, |settled| settled.replay.get());
    let positions = column(settled, |settled| settled.position);
    sqlx::query(
        "UPDATE replay_events AS r SET state = 'done', leased_until = NULL, outcome = s.outcome, \
         error = s.error, fingerprint = s.fingerprint, settled_at = $8, state_after = e.state \
         FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], \
         $7::text[]) AS s(replay_id, position, source, event_id, outcome, error, fingerprint) \
         LEFT JOIN events AS e ON e.source = s.source AND e.event_id = s.event_id \
         WHERE r.replay_id = s.replay_id AND r.position = s.position",
    )
    .bind(&replays)
    .bind(&positions)
    .bind(column(settled, |settled| settled.event.source.as_str()))
    .bind(column(settled, |settled| settled.event.id.as_str()))
    .bind(column(settled, |settled| settled.outcome))
    .bind(column(settled, |settled| {
        settled.error.as_deref().map(storable)
    }))
    .bind(column(settled, |settled| settled.fingerprint))
    .bind(stored(now))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE replay_events AS r SET state = 'pending' \
         FROM UNNEST($1::bigint[], $2::bigint[]) AS s(replay_id, position) \
         WHERE r.replay_id = s.replay_id AND r.follows = s.position AND r.state = 'held'",
    )
    .bind(&replays)
    .bind(&positions)
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets these, which are locked, go onto the queue again.
pub(in crate::store::postgres) async fn put_back(
    connection: &mut PgConnection,
    open: &[OpenReplay],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE replay_events AS r SET state = 'pending', leased_until = NULL \
         FROM UNNEST($1::bigint[], $2::bigint[]) AS o(replay_id, position) \
         WHERE r.replay_id = o.replay_id AND r.position = o.position",
    )
    .bind(column(open, |open| open.replay.get()))
    .bind(column(open, |open| open.position))
    .execute(connection)
    .await?;
    Ok(())
}
