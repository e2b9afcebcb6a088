//! Persons whose payloads are erased: `user_tombstones`, `erased_subjects`, and the events themselves.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection};

use super::super::erasure::{Departed, ErasureTables};
use super::super::problem::ApplyError;
use super::operators;
use super::rows::{Reader, json_list};
use super::tables::SqliteTables;
use crate::model::event::EventType;
use crate::model::operator::OperatorAction;
use crate::model::retention::{Departure, ErasableType};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// A payload as it is before it goes.
pub(super) struct Leaving {
    source: String,
    event_id: String,
    sha256: String,
}

/// Reads what is about to go. One payload at a time is in memory.
pub(super) async fn leaving(
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    connection: &mut SqliteConnection,
) -> Result<Vec<Leaving>, sqlx::Error> {
    let mut rows = query.fetch(connection);
    let mut leaving = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let payload: &[u8] = row.try_get("payload")?;
        leaving.push(Leaving {
            source: row.try_get("source")?,
            event_id: row.try_get("event_id")?,
            sha256: hex::encode(Sha256::digest(payload)),
        });
    }
    Ok(leaving)
}

/// Lets these payloads go, unless somebody else has; answers how many went. Only what is finished is
/// pruned: it may have been taken up again since it was read.
pub(super) async fn let_go(
    connection: &mut SqliteConnection,
    leaving: &[Leaving],
    why: Departure,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let now = now.to_string();
    let mut gone = 0;
    for event in leaving {
        let done = sqlx::query(
            "UPDATE events SET payload = NULL, payload_gone = ?, payload_gone_at = ?, \
             payload_sha256 = ? WHERE source = ? AND event_id = ? AND payload IS NOT NULL \
             AND (? OR state IN ('applied', 'ignored', 'discarded'))",
        )
        .bind(why.as_str())
        .bind(&now)
        .bind(&event.sha256)
        .bind(&event.source)
        .bind(&event.event_id)
        .bind(why == Departure::Erased)
        .execute(&mut *connection)
        .await?;
        gone += done.rows_affected();
    }
    Ok(gone)
}

#[async_trait]
impl ErasureTables for SqliteTables<'_> {
    async fn note_deletions(&mut self, now: Timestamp) -> Result<(), ApplyError> {
        sqlx::query(
            "UPDATE user_tombstones SET recorded_at = ? \
             WHERE erased_at IS NULL AND recorded_at IS NULL",
        )
        .bind(now.to_string())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn departed(
        &mut self,
        deleted_by: Timestamp,
        looked_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Departed>, ApplyError> {
        let rows = sqlx::query(
            "SELECT id, swept_at IS NOT NULL AS is_settled FROM user_tombstones \
             WHERE erased_at IS NULL AND recorded_at <= ? \
             AND (swept_at IS NULL OR swept_at <= ?) ORDER BY recorded_at LIMIT ?",
        )
        .bind(deleted_by.to_string())
        .bind(looked_at.to_string())
        .bind(limit)
        .fetch_all(&mut *self.0)
        .await?;
        let departed = rows.iter().map(|row| {
            let reader = Reader::new("user_tombstones", "a deleted user", row);
            Ok(Departed {
                id: reader.parse("id", UserId::parse)?,
                is_settled: reader.get("is_settled")?,
            })
        });
        departed.collect()
    }

    async fn deleted_among(
        &mut self,
        users: &BTreeSet<UserId>,
        deleted_by: Timestamp,
    ) -> Result<BTreeSet<UserId>, ApplyError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM user_tombstones WHERE recorded_at <= ? \
             AND id IN (SELECT value FROM json_each(?))",
        )
        .bind(deleted_by.to_string())
        .bind(json_list(users.iter().map(UserId::as_str)))
        .fetch_all(&mut *self.0)
        .await?;
        Ok(ids.iter().filter_map(|id| UserId::parse(id)).collect())
    }

    async fn remember(
        &mut self,
        user: &UserId,
        names: &BTreeSet<String>,
    ) -> Result<u64, ApplyError> {
        let done = sqlx::query(
            "INSERT OR IGNORE INTO erased_subjects (subject, user_id) \
             SELECT value, ? FROM json_each(?)",
        )
        .bind(user.as_str())
        .bind(json_list(names.iter().map(String::as_str)))
        .execute(&mut *self.0)
        .await?;
        Ok(done.rows_affected())
    }

    async fn note_look(
        &mut self,
        user: &UserId,
        is_erased: bool,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        sqlx::query("UPDATE user_tombstones SET swept_at = ?1, erased_at = ?2 WHERE id = ?3")
            .bind(now.to_string())
            .bind(is_erased.then(|| now.to_string()))
            .bind(user.as_str())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn count_payloads(
        &mut self,
        names: &BTreeSet<String>,
    ) -> Result<Vec<ErasableType>, ApplyError> {
        let rows = sqlx::query(
            "SELECT event_type, COUNT(*) AS events, \
             SUM(state NOT IN ('applied', 'ignored', 'discarded')) AS unfinished \
             FROM events WHERE subject IN (SELECT value FROM json_each(?)) \
             AND payload IS NOT NULL GROUP BY event_type ORDER BY event_type",
        )
        .bind(json_list(names.iter().map(String::as_str)))
        .fetch_all(&mut *self.0)
        .await?;
        let types = rows.iter().map(|row| {
            let reader = Reader::new("events", "those to erase", row);
            Ok(ErasableType {
                event_type: reader.parse("event_type", EventType::parse)?,
                events: reader.count("events")?,
                unfinished: reader.count("unfinished")?,
            })
        });
        types.collect()
    }

    async fn erase_payloads(
        &mut self,
        names: &BTreeSet<String>,
        limit: u32,
        _passing_by: bool,
        now: Timestamp,
    ) -> Result<u64, ApplyError> {
        let query = sqlx::query(
            "SELECT source, event_id, payload FROM events \
             WHERE subject IN (SELECT value FROM json_each(?)) AND payload IS NOT NULL LIMIT ?",
        )
        .bind(json_list(names.iter().map(String::as_str)))
        .bind(limit);
        let leaving = leaving(query, self.0).await?;
        Ok(let_go(self.0, &leaving, Departure::Erased, now).await?)
    }

    async fn record_step(
        &mut self,
        action: &OperatorAction,
        events: u64,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Option<i64>, ApplyError> {
        if events == 0 {
            return Ok(recorded_as);
        }
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        let Some(id) = recorded_as else {
            let row = operators::record(self.0, action, events, events, now).await?;
            return Ok(Some(operators::action_record(&row)?.id));
        };
        sqlx::query(
            "UPDATE operator_actions SET matched = matched + ?1, changed = changed + ?1 WHERE id = ?2",
        )
        .bind(events)
        .bind(id)
        .execute(&mut *self.0)
        .await?;
        Ok(Some(id))
    }
}
