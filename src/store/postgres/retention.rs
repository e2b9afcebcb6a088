//! Payloads and rows that go because they are old, and the engine's side of erasing.

use async_trait::async_trait;
use futures_util::TryFutureExt;

use super::super::erasure::{self, ErasureTables};
use super::super::problem::{ApplyError, unavailable};
use super::super::retention::Retention;
use super::contention::Contention;
use super::rows::{Reader, stored};
use super::tables::PostgresTables;
use super::{PostgresStore, StoreError, bounded};
use crate::model::operator::OperatorAction;
use crate::model::retention::{Departure, Erasure, Overdue, Step};
use crate::model::time::Timestamp;

#[async_trait]
impl Retention for PostgresStore {
    async fn prune_payloads(
        &self,
        before: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        const DOING: &str = "prune payloads";
        let prune = async {
            let mut transaction = self.begin(DOING).await?;
            let done = sqlx::query(
                "WITH leaving AS MATERIALIZED (SELECT source, event_id FROM events \
                 WHERE payload IS NOT NULL AND state IN ('applied', 'ignored', 'discarded') \
                 AND received_at < $1 ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
                 UPDATE events AS e SET payload = NULL, payload_gone = $3, payload_gone_at = $4, \
                 payload_sha256 = encode(sha256(e.payload), 'hex') \
                 FROM leaving AS l WHERE e.source = l.source AND e.event_id = l.event_id",
            )
            .bind(stored(before))
            .bind(i64::from(limit))
            .bind(Departure::Pruned.as_str())
            .bind(stored(now))
            .execute(&mut *transaction)
            .await?;
            let events = done.rows_affected();
            let recorded_as = PostgresTables(&mut transaction)
                .record_step(action, events, recorded_as, now)
                .await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(Step {
                events,
                more: events >= u64::from(limit),
                recorded_as,
            })
        };
        let prune = Box::pin(prune).map_err(|error: ApplyError| error.into_store_error(DOING));
        bounded(DOING, prune).await
    }

    async fn erase_deleted(
        &self,
        deleted_by: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        const DOING: &str = "erase payloads of deleted users";
        let erase = async {
            let mut transaction = self.begin(DOING).await?;
            let mut tables = PostgresTables(&mut transaction);
            let step =
                erasure::erase_deleted(&mut tables, deleted_by, limit, action, recorded_as, now)
                    .await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(step)
        };
        let erase = Box::pin(erase).map_err(|error: ApplyError| error.into_store_error(DOING));
        bounded(DOING, erase).await
    }

    async fn delete_events(
        &self,
        before: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        const DOING: &str = "delete old events";
        let delete = async {
            let mut transaction = self.begin(DOING).await?;
            let mut deleted = Vec::new();
            for sql in [
                "WITH old AS MATERIALIZED (SELECT source, event_id FROM events \
                 WHERE state IN ('applied', 'ignored', 'discarded') AND received_at < $1 \
                 ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
                 DELETE FROM events AS e USING old \
                 WHERE e.source = old.source AND e.event_id = old.event_id",
                "DELETE FROM outbox_attempts WHERE ctid = ANY(ARRAY(SELECT ctid FROM outbox_attempts \
                 WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            ] {
                let done = sqlx::query(sql)
                    .bind(stored(before))
                    .bind(i64::from(limit))
                    .execute(&mut *transaction)
                    .await?;
                deleted.push(done.rows_affected());
            }
            let events = deleted.first().copied().unwrap_or_default();
            let recorded_as = PostgresTables(&mut transaction)
                .record_step(action, events, recorded_as, now)
                .await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(Step {
                events,
                more: deleted.iter().any(|rows| *rows >= u64::from(limit)),
                recorded_as,
            })
        };
        let delete = Box::pin(delete).map_err(|error: ApplyError| error.into_store_error(DOING));
        bounded(DOING, delete).await
    }

    async fn erase(
        &self,
        subjects: &[String],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Erasure, StoreError> {
        const DOING: &str = "erase payloads";
        let attempt = || async {
            let mut transaction = self.begin(DOING).await?;
            let mut tables = PostgresTables(&mut transaction);
            let erasure = erasure::erase(&mut tables, subjects, action, now).await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(erasure)
        };
        let mut contention = Contention::about(subjects);
        let erase = async {
            loop {
                match attempt().await {
                    Ok(erasure) => return Ok(erasure),
                    Err(error) => contention
                        .wait(error)
                        .await
                        .map_err(|error| error.into_store_error(DOING))?,
                }
            }
        };
        bounded(DOING, erase).await
    }

    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError> {
        const DOING: &str = "look for what is overdue";
        let look = async {
            let row = sqlx::query(
                "SELECT (SELECT MIN(received_at) FROM events WHERE payload IS NOT NULL \
                 AND state IN ('applied', 'ignored', 'discarded')) AS payload, \
                 (SELECT COUNT(*) FROM events \
                 WHERE state IN ('queued', 'waiting', 'retrying', 'failed') \
                 AND received_at < $1 AND payload IS NOT NULL) AS unfinished, \
                 (SELECT MIN(recorded_at) FROM user_tombstones \
                 WHERE erased_at IS NULL AND swept_at IS NULL) AS deletion",
            )
            .bind(stored(before))
            .fetch_one(&mut *self.acquire(DOING).await?)
            .await
            .map_err(unavailable(DOING))?;
            let reader = Reader::new("events", "the oldest", &row);
            Ok(Overdue {
                oldest_payload: reader.optional_time("payload")?,
                unfinished: reader.count("unfinished")?,
                oldest_deletion: reader.optional_time("deletion")?,
            })
        };
        bounded(DOING, look).await
    }

    /// The server's own vacuum does that.
    async fn clear_traces(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
