//! `source_pauses`, and the events that wait for a source to be resumed.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use super::super::pauses::Pauses;
use super::super::problem::{ApplyError, unavailable};
use super::operators::{action_record, record};
use super::rows::{Reader, json_list};
use super::{SqliteStore, StoreError};
use crate::model::operator::{ActionRecord, Operator, OperatorAction};
use crate::model::pause::{Pause, SourceChange, SourceStanding};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// Every source with events or a pause. Sources are few: the ledger is skipped through, not read.
const SOURCES: &str = "WITH RECURSIVE held(source) AS (\
     SELECT MIN(source) FROM events UNION ALL \
     SELECT (SELECT MIN(source) FROM events WHERE source > held.source) FROM held \
     WHERE held.source IS NOT NULL) \
     SELECT s.source, p.paused_at, p.operator, p.reason FROM (\
     SELECT source FROM held WHERE source IS NOT NULL UNION SELECT source FROM source_pauses) AS s \
     LEFT JOIN source_pauses AS p ON p.source = s.source AND p.resumed_at IS NULL ORDER BY s.source";

/// What one of them has. The pluses keep SQLite from reading all events of the source, and from looking
/// for the oldest among those that ended.
const STANDING: &str = "SELECT \
     (SELECT received_at FROM events WHERE +source = ?1 ORDER BY received_at DESC LIMIT 1) AS latest, \
     (SELECT COUNT(*) FROM events INDEXED BY events_parked \
     WHERE source = ?1 AND state = 'queued' AND outcome = 'paused') AS parked, \
     (SELECT MIN(received_at) FROM events INDEXED BY events_parked \
     WHERE source = ?1 AND state = 'queued' AND outcome = 'paused') AS oldest_parked, \
     (SELECT MIN(+received_at) FROM events WHERE +source = ?1 AND state IN ('queued', 'retrying')) \
     AS oldest_unapplied";

/// The sources that are paused. A name that this program does not write is nobody's.
pub(super) async fn in_force(
    connection: &mut SqliteConnection,
) -> Result<BTreeSet<SourceName>, ApplyError> {
    let rows = sqlx::query("SELECT source FROM source_pauses WHERE resumed_at IS NULL")
        .fetch_all(connection)
        .await?;
    let names = rows.iter().filter_map(|row| row.try_get("source").ok());
    Ok(names.filter_map(SourceName::parse).collect())
}

#[async_trait]
impl Pauses for SqliteStore {
    async fn source_standings(&self) -> Result<Vec<SourceStanding>, StoreError> {
        let action = "look at sources";
        let mut transaction = self.readers.begin().await.map_err(unavailable(action))?;
        let sources = sqlx::query(SOURCES)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unavailable(action))?;
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
                .fetch_one(&mut *transaction)
                .await
                .map_err(unavailable(action))?;
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

    async fn change_sources(
        &self,
        change: SourceChange,
        sources: &[SourceName],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        const DOING: &str = "pause or resume sources";
        let names = json_list(sources.iter().map(SourceName::as_str));
        let mut transaction = self.begin(DOING).await?;
        let done = async {
            let paused: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM source_pauses WHERE resumed_at IS NULL \
                 AND source IN (SELECT value FROM json_each(?))",
            )
            .bind(&names)
            .fetch_one(&mut *transaction)
            .await?;
            let named: BTreeSet<_> = sources.iter().collect();
            let matched = match change {
                SourceChange::Pause => i64::try_from(named.len()).unwrap_or(i64::MAX) - paused,
                SourceChange::Resume => paused,
            };
            if let Some(reason) = action.mode.reason() {
                let statement = match change {
                    SourceChange::Pause => sqlx::query(
                        "INSERT INTO source_pauses (source, paused_at, operator, reason) \
                         SELECT DISTINCT value, ?2, ?3, ?4 FROM json_each(?1) WHERE TRUE \
                         ON CONFLICT (source) DO UPDATE SET paused_at = excluded.paused_at, \
                         operator = excluded.operator, reason = excluded.reason, resumed_at = NULL \
                         WHERE source_pauses.resumed_at IS NOT NULL",
                    )
                    .bind(&names)
                    .bind(now.to_string())
                    .bind(action.operator.as_str())
                    .bind(reason.as_str()),
                    SourceChange::Resume => sqlx::query(
                        "UPDATE source_pauses SET resumed_at = ?2 WHERE resumed_at IS NULL \
                         AND source IN (SELECT value FROM json_each(?1))",
                    )
                    .bind(&names)
                    .bind(now.to_string()),
                };
                statement.execute(&mut *transaction).await?;
            }
            let changed = if action.mode.is_dry_run() { 0 } else { matched };
            let row = record(&mut transaction, action, matched, changed, now).await?;
            transaction.commit().await?;
            Ok(row)
        };
        let row = done.await.map_err(unavailable(DOING))?;
        action_record(&row)
    }

    async fn release_parked(&self, limit: u32, now: Timestamp) -> Result<u64, StoreError> {
        const DOING: &str = "take up what was put aside";
        // Looking first keeps an idle scheduler from writing, and so from syncing, all the time.
        let sources: Vec<String> = sqlx::query_scalar(
            "SELECT source FROM source_pauses AS p WHERE resumed_at IS NOT NULL \
             AND EXISTS (SELECT 1 FROM events AS e INDEXED BY events_parked \
             WHERE e.source = p.source AND e.state = 'queued' AND e.outcome = 'paused') \
             ORDER BY source",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(unavailable(DOING))?;
        if sources.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.begin(DOING).await?;
        let mut released = 0;
        for source in sources {
            let left = u64::from(limit) - released;
            let result = sqlx::query(
                "UPDATE events SET state = 'retrying', outcome = 'resumed', next_attempt_at = ?2 \
                 WHERE (source, event_id) IN (\
                 SELECT source, event_id FROM events INDEXED BY events_parked \
                 WHERE source = ?1 AND state = 'queued' AND outcome = 'paused' \
                 AND EXISTS (SELECT 1 FROM source_pauses AS p \
                 WHERE p.source = ?1 AND p.resumed_at IS NOT NULL) \
                 ORDER BY received_at LIMIT ?3)",
            )
            .bind(source)
            .bind(now.to_string())
            .bind(i64::try_from(left).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await
            .map_err(unavailable(DOING))?;
            released += result.rows_affected();
        }
        transaction.commit().await.map_err(unavailable(DOING))?;
        Ok(released)
    }
}
