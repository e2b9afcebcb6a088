//! How fresh the ledger is: what silence and a backlog are told by.

use std::fmt::Debug;

use async_trait::async_trait;

use super::StoreError;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// What the private listener asks, often: each answer reads few rows, however long the ledger is.
#[async_trait]
pub trait Freshness: Debug + Send + Sync {
    /// When the latest event of each of these sources was received, in this order; `None` where the
    /// ledger has none.
    async fn last_received(
        &self,
        sources: &[SourceName],
    ) -> Result<Vec<Option<Timestamp>>, StoreError>;

    /// When the oldest of those events was received that should have had their effect and have not:
    /// those that failed, and those that are to be tried again, back on the queue or not. Not those
    /// that wait for the user of their payment: that is no fault, and is told elsewhere. Nor what the
    /// ledger has not seen yet.
    async fn oldest_unapplied(&self) -> Result<Option<Timestamp>, StoreError>;
}
