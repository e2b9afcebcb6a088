//! How fresh the ledger is.

use async_trait::async_trait;

use super::super::freshness::Freshness;
use super::super::problem::unavailable;
use super::rows::Reader;
use super::{PostgresStore, StoreError};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

#[async_trait]
impl Freshness for PostgresStore {
    async fn last_received(
        &self,
        sources: &[SourceName],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let mut last = Vec::with_capacity(sources.len());
        for source in sources {
            // One question each: the latest of one source is one step in an index, of several it is not.
            let row =
                sqlx::query("SELECT MAX(received_at) AS latest FROM events WHERE source = $1")
                    .bind(source.as_str())
                    .fetch_one(&self.pool)
                    .await
                    .map_err(unavailable("look for the latest event of a source"))?;
            last.push(Reader::new("events", source.as_str(), &row).optional_time("latest")?);
        }
        Ok(last)
    }

    async fn oldest_unapplied(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(
            "SELECT MIN(oldest) AS oldest FROM (\
             SELECT MIN(received_at) AS oldest FROM events WHERE state = 'queued' UNION ALL \
             SELECT MIN(received_at) AS oldest FROM events WHERE state = 'retrying' UNION ALL \
             SELECT MIN(received_at) AS oldest FROM events WHERE state = 'failed') AS open",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(unavailable("look for the oldest event that is not applied"))?;
        Reader::new("events", "the oldest that is not applied", &row).optional_time("oldest")
    }
}
