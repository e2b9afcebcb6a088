//! Persons whose payloads are erased: `user_tombstones`, `erased_subjects`, and the events themselves.
//!
//! The server computes the hashes, so that no payload travels for it. Sweeps pass by what others hold:
//! they come again. So no sweep waits for a worker, nor the other way round for longer than a step.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::super::erasure::{Departed, ErasureTables};
use super::super::problem::ApplyError;
use super::operators;
use super::rows::{Reader, stored};
use super::tables::PostgresTables;
use crate::model::event::EventType;
use crate::model::operator::OperatorAction;
use crate::model::retention::{Departure, ErasableType};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

fn list(names: &BTreeSet<String>) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[async_trait]
impl ErasureTables for PostgresTables<'_> {
    async fn note_deletions(&mut self, now: Timestamp) -> Result<(), ApplyError> {
        sqlx::query(
            "WITH unnoted AS MATERIALIZED (SELECT id FROM user_tombstones \
             WHERE erased_at IS NULL AND recorded_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED) \
             UPDATE user_tombstones AS t SET recorded_at = $1 FROM unnoted WHERE t.id = unnoted.id",
        )
        .bind(stored(now))
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
             WHERE erased_at IS NULL AND recorded_at <= $1 \
             AND (swept_at IS NULL OR swept_at <= $2) \
             ORDER BY recorded_at LIMIT $3 FOR UPDATE SKIP LOCKED",
        )
        .bind(stored(deleted_by))
        .bind(stored(looked_at))
        .bind(i64::from(limit))
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
            "SELECT id FROM user_tombstones WHERE recorded_at <= $1 AND id = ANY($2)",
        )
        .bind(stored(deleted_by))
        .bind(users.iter().map(UserId::as_str).collect::<Vec<_>>())
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
            "INSERT INTO erased_subjects (subject, user_id) \
             SELECT name, $1 FROM UNNEST($2::text[]) AS name ON CONFLICT DO NOTHING",
        )
        .bind(user.as_str())
        .bind(list(names))
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
        sqlx::query("UPDATE user_tombstones SET swept_at = $1, erased_at = $2 WHERE id = $3")
            .bind(stored(now))
            .bind(is_erased.then(|| stored(now)))
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
             COUNT(*) FILTER (WHERE state NOT IN ('applied', 'ignored', 'discarded')) AS unfinished \
             FROM events WHERE subject = ANY($1) AND payload IS NOT NULL \
             GROUP BY event_type ORDER BY event_type",
        )
        .bind(list(names))
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
        passing_by: bool,
        now: Timestamp,
    ) -> Result<u64, ApplyError> {
        macro_rules! erase {
            ($lock:literal) => {
                concat!(
                    "WITH leaving AS MATERIALIZED (SELECT source, event_id FROM events ",
                    "WHERE subject = ANY($1) AND payload IS NOT NULL ",
                    "ORDER BY source, event_id LIMIT $2 ",
                    $lock,
                    ") UPDATE events AS e SET payload = NULL, payload_gone = $3, ",
                    "payload_gone_at = $4, payload_sha256 = encode(sha256(e.payload), 'hex') ",
                    "FROM leaving AS l WHERE e.source = l.source AND e.event_id = l.event_id"
                )
            };
        }
        let sql = match passing_by {
            true => erase!("FOR UPDATE SKIP LOCKED"),
            false => erase!("FOR UPDATE"),
        };
        let done = sqlx::query(sql)
            .bind(list(names))
            .bind(i64::from(limit))
            .bind(Departure::Erased.as_str())
            .bind(stored(now))
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
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
            "UPDATE operator_actions SET matched = matched + $1, changed = changed + $1 WHERE id = $2",
        )
        .bind(events)
        .bind(id)
        .execute(&mut *self.0)
        .await?;
        Ok(Some(id))
    }
}
