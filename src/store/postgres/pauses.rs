//! `source_pauses`, and the events that wait for a source to be resumed.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{PgConnection, Row};

use super::super::pauses::Pauses;
use super::super::problem::{ApplyError, unavailable};
use super::operators::{action_record, record};
use super::rows::{Reader, stored};
use super::{PostgresStore, StoreError, bounded};
use crate::model::operator::{ActionRecord, Operator, OperatorAction};
use crate::model::pause::{Pause, SourceChange, SourceStanding};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// Every source with events or a pause. Sources are few: the ledger is skipped through, not read.
const SOURCES: &str = "WITH RECURSIVE held(source) AS (\
     (SELECT source FROM events ORDER BY source LIMIT 1) UNION ALL \
     SELECT (SELECT e.source FROM events AS e WHERE e.source > held.source \
     ORDER BY e.source LIMIT 1) FROM held WHERE held.source IS NOT NULL) \
     SELECT s.source, p.paused_at, p.operator, p.reason FROM (\
     SELECT source FROM held WHERE source IS NOT NULL UNION SELECT source FROM source_pauses) AS s \
     LEFT JOIN source_pauses AS p ON p.source = s.source AND p.resumed_at IS NULL ORDER BY s.source";

/// What one of them has.
const STANDING: &str = "SELECT \
     (SELECT received_at FROM events WHERE source = $1 ORDER BY received_at DESC LIMIT 1) AS latest, \
     (SELECT COUNT(*) FROM events WHERE source = $1 AND state = 'queued' AND outcome = 'paused') \
     AS parked, \
     (SELECT MIN(received_at) FROM events WHERE source = $1 AND state = 'queued' \
     AND outcome = 'paused') AS oldest_parked, \
     (SELECT MIN(oldest) FROM (\
     SELECT MIN(received_at) AS oldest FROM events WHERE source = $1 AND state = 'queued' UNION ALL \
     SELECT MIN(received_at) FROM events WHERE source = $1 AND state = 'retrying') AS open) \
     AS oldest_unapplied";

const LOOKING: &str = "look at sources";
const CHANGING: &str = "pause or resume sources";
const RELEASING: &str = "take up what was put aside";

/// The sources that are paused. A name that this program does not write is nobody's.
pub(super) async fn in_force(
    connection: &mut PgConnection,
) -> Result<BTreeSet<SourceName>, ApplyError> {
    let rows = sqlx::query("SELECT source FROM source_pauses WHERE resumed_at IS NULL")
        .fetch_all(connection)
        .await?;
    let names = rows.iter().filter_map(|row| row.try_get("source").ok());
    Ok(names.filter_map(SourceName::parse).collect())
}

#[async_trait]
impl Pauses for PostgresStore {
    async fn source_standings(&self) -> Result<Vec<SourceStanding>, StoreError> {
        bounded(LOOKING, standings(self)).await
    }

    async fn change_sources(
        &self,
        change: SourceChange,
        sources: &[SourceName],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        bounded(CHANGING, self::change(self, change, sources, action, now)).await
    }

    async fn release_parked(&self, limit: u32, now: Timestamp) -> Result<u64, StoreError> {
        bounded(RELEASING, release(self, limit, now)).await
    }
}

async fn standings(store: &PostgresStore) -> Result<Vec<SourceStanding>, StoreError> {
    let mut snapshot = store.snapshot(LOOKING).await?;
    let sources = sqlx::query(SOURCES)
        .fetch_all(&mut *snapshot)
        .await
        .map_err(unavailable(LOOKING))?;
    let mut standings = Vec::with_capacity(sources.len());
    for row in &sources {
        let reader = Reader::new("source_pauses", "", row);
        let source = reader.parse("source", SourceName::parse)?;
        let reader = Reader::new("source_pauses", source.as_str(), row);
        let pause = match reader.optional_time("paused_at")? {
            None => None,
            Some(since) => Some(Pause {
                since,
                operator: reader.parse("operator", Operator::parse)?,
                reason: reader.get("reason")?,
            }),
        };
        let row = sqlx::query(STANDING)
            .bind(source.as_str())
            .fetch_one(&mut *snapshot)
            .await
            .map_err(unavailable(LOOKING))?;
        let reader = Reader::new("events", source.as_str(), &row);
        standings.push(SourceStanding {
            pause,
            last_received_at: reader.optional_time("latest")?,
            parked: reader.count("parked")?,
            oldest_parked_at: reader.optional_time("oldest_parked")?,
            oldest_unapplied_at: reader.optional_time("oldest_unapplied")?,
            source,
        });
    }
    Ok(standings)
}

/// Two who pause the same source at once meet at its row: what is counted is what was written.
async fn change(
    store: &PostgresStore,
    change: SourceChange,
    sources: &[SourceName],
    action: &OperatorAction,
    now: Timestamp,
) -> Result<ActionRecord, StoreError> {
    let named: BTreeSet<_> = sources.iter().map(SourceName::as_str).collect();
    let named: Vec<&str> = named.into_iter().collect();
    let mut transaction = store.begin(CHANGING).await?;
    let done = async {
        let matched = match (change, action.mode.reason()) {
            (SourceChange::Pause, Some(reason)) => sqlx::query(
                "INSERT INTO source_pauses AS p (source, paused_at, operator, reason) \
                 SELECT source, $2, $3, $4 FROM UNNEST($1::text[]) AS named(source) \
                 ON CONFLICT (source) DO UPDATE SET paused_at = excluded.paused_at, \
                 operator = excluded.operator, reason = excluded.reason, resumed_at = NULL \
                 WHERE p.resumed_at IS NOT NULL",
            )
            .bind(&named)
            .bind(stored(now))
            .bind(action.operator.as_str())
            .bind(reason.as_str())
            .execute(&mut *transaction)
            .await?
            .rows_affected(),
            (SourceChange::Resume, Some(_)) => sqlx::query(
                "WITH paused AS MATERIALIZED (SELECT source FROM source_pauses \
                 WHERE resumed_at IS NULL AND source = ANY($1) ORDER BY source FOR UPDATE) \
                 UPDATE source_pauses AS p SET resumed_at = $2 FROM paused \
                 WHERE p.source = paused.source",
            )
            .bind(&named)
            .bind(stored(now))
            .execute(&mut *transaction)
            .await?
            .rows_affected(),
            (_, None) => {
                let paused: i64 = sqlx::query_scalar(
                    "SELECT COUNT(*) FROM source_pauses \
                     WHERE resumed_at IS NULL AND source = ANY($1)",
                )
                .bind(&named)
                .fetch_one(&mut *transaction)
                .await?;
                let paused = u64::try_from(paused).unwrap_or_default();
                match change {
                    SourceChange::Pause => (named.len() as u64).saturating_sub(paused),
                    SourceChange::Resume => paused,
                }
            }
        };
        let matched = i64::try_from(matched).unwrap_or(i64::MAX);
        let changed = if action.mode.is_dry_run() { 0 } else { matched };
        let row = record(&mut transaction, action, matched, changed, now).await?;
        transaction.commit().await?;
        Ok(row)
    };
    let row = done.await.map_err(unavailable(CHANGING))?;
    action_record(&row)
}

async fn release(store: &PostgresStore, limit: u32, now: Timestamp) -> Result<u64, StoreError> {
    let mut connection = store.acquire(RELEASING).await?;
    // Looking first keeps an idle scheduler from writing, and so from syncing, all the time.
    let sources: Vec<String> = sqlx::query_scalar(
        "SELECT source FROM source_pauses AS p WHERE resumed_at IS NOT NULL \
         AND EXISTS (SELECT 1 FROM events AS e WHERE e.source = p.source \
         AND e.state = 'queued' AND e.outcome = 'paused') ORDER BY source",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(unavailable(RELEASING))?;
    let mut released = 0;
    for source in sources {
        let left = u64::from(limit) - released;
        // Another scheduler's share is skipped; each source is a transaction of its own.
        let result = sqlx::query(
            "WITH parked AS MATERIALIZED (SELECT source, event_id FROM events \
             WHERE source = $1 AND state = 'queued' AND outcome = 'paused' \
             AND EXISTS (SELECT 1 FROM source_pauses AS p \
             WHERE p.source = $1 AND p.resumed_at IS NOT NULL) \
             ORDER BY received_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
             UPDATE events AS e SET state = 'retrying', outcome = 'resumed', next_attempt_at = $2 \
             FROM parked WHERE e.source = parked.source AND e.event_id = parked.event_id",
        )
        .bind(source)
        .bind(stored(now))
        .bind(i64::try_from(left).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await
        .map_err(unavailable(RELEASING))?;
        released += result.rows_affected();
    }
    Ok(released)
}
