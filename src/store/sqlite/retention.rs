//! Payloads and rows that go because they are old, and the engine's side of erasing.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection};

use super::super::erasure::{self, ErasureTables};
use super::super::problem::{ApplyError, unavailable};
use super::super::retention::Retention;
use super::erasure::{leaving, let_go};
use super::rows::Reader;
use super::tables::SqliteTables;
use super::{SqliteStore, StoreError};
use crate::model::operator::OperatorAction;
use crate::model::retention::{Departure, Erasure, Overdue, Step};
use crate::model::time::Timestamp;

/// How long clearing the write-ahead log waits for readers, and so lets writers wait for it.
const CLEARING_WAITS: Duration = Duration::from_millis(100);

#[async_trait]
impl Retention for SqliteStore {
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
            // Reading and hashing take longest: they keep no writer waiting. Bytes never change.
            let query = sqlx::query(
                "SELECT source, event_id, payload FROM events \
                 WHERE payload IS NOT NULL AND state IN ('applied', 'ignored', 'discarded') \
                 AND received_at < ? ORDER BY received_at LIMIT ?",
            )
            .bind(before.to_string())
            .bind(limit);
            let mut reader = self.readers.acquire().await?;
            let leaving = leaving(query, &mut reader).await?;
            drop(reader);
            let more = u32::try_from(leaving.len()).is_ok_and(|found| found >= limit);
            if leaving.is_empty() {
                return Ok(Step {
                    recorded_as,
                    ..Step::default()
                });
            }
            let mut transaction = self.begin(DOING).await?;
            let events = let_go(&mut transaction, &leaving, Departure::Pruned, now).await?;
            let recorded_as = SqliteTables(&mut transaction)
                .record_step(action, events, recorded_as, now)
                .await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(Step {
                events,
                more,
                recorded_as,
            })
        };
        prune.await.map_err(|error| error.into_store_error(DOING))
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
            let mut tables = SqliteTables(&mut transaction);
            let step =
                erasure::erase_deleted(&mut tables, deleted_by, limit, action, recorded_as, now)
                    .await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(step)
        };
        erase.await.map_err(|error| error.into_store_error(DOING))
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
                "DELETE FROM events WHERE rowid IN (SELECT rowid FROM events \
                 WHERE state IN ('applied', 'ignored', 'discarded') AND received_at < ? \
                 ORDER BY received_at LIMIT ?)",
                "DELETE FROM outbox_attempts WHERE rowid IN (SELECT rowid FROM outbox_attempts \
                 WHERE at < ? ORDER BY at LIMIT ?)",
            ] {
                let done = sqlx::query(sql)
                    .bind(before.to_string())
                    .bind(limit)
                    .execute(&mut *transaction)
                    .await?;
                deleted.push(done.rows_affected());
            }
            let events = deleted.first().copied().unwrap_or_default();
            let recorded_as = SqliteTables(&mut transaction)
                .record_step(action, events, recorded_as, now)
                .await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(Step {
                events,
                more: deleted.iter().any(|rows| *rows >= u64::from(limit)),
                recorded_as,
            })
        };
        delete.await.map_err(|error| error.into_store_error(DOING))
    }

    async fn erase(
        &self,
        subjects: &[String],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Erasure, StoreError> {
        const DOING: &str = "erase payloads";
        let erase = async {
            let mut transaction = self.begin(DOING).await?;
            let mut tables = SqliteTables(&mut transaction);
            let erasure = erasure::erase(&mut tables, subjects, action, now).await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(erasure)
        };
        erase.await.map_err(|error| error.into_store_error(DOING))
    }

    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT MIN(received_at) FROM events \
             WHERE payload IS NOT NULL AND state IN ('applied', 'ignored', 'discarded')) AS payload, \
             (SELECT COUNT(*) FROM events WHERE state IN ('queued', 'waiting', 'retrying', 'failed') \
             AND received_at < ? AND payload IS NOT NULL) AS unfinished, \
             (SELECT MIN(recorded_at) FROM user_tombstones \
             WHERE erased_at IS NULL AND swept_at IS NULL) AS deletion",
        )
        .bind(before.to_string())
        .fetch_one(&self.readers)
        .await
        .map_err(unavailable("look for what is overdue"))?;
        let reader = Reader::new("events", "the oldest", &row);
        Ok(Overdue {
            oldest_payload: reader.optional_time("payload")?,
            unfinished: reader.count("unfinished")?,
            oldest_deletion: reader.optional_time("deletion")?,
        })
    }

    /// What was overwritten is in the write-ahead log as it was, until that is written anew.
    async fn clear_traces(&self) -> Result<(), StoreError> {
        let clear = async {
            let options = self.writer.connect_options();
            let options = options.as_ref().clone().busy_timeout(CLEARING_WAITS);
            let mut connection = options.connect().await?;
            let is_busy: bool = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&mut connection)
                .await?;
            if is_busy {
                tracing::debug!("others read the database: its log is cleared another time");
            }
            connection.close().await
        };
        clear.await.map_err(unavailable("clear its log"))
    }
}
