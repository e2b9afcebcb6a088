//! The part of the [`FaultyStore`] that says how fresh the ledger is.

use async_trait::async_trait;
use hookmirror::model::source::SourceName;
use hookmirror::model::time::Timestamp;
use hookmirror::store::{Freshness, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> Freshness for FaultyStore<F> {
    async fn last_received(
        &self,
        sources: &[SourceName],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let work = self.inner.last_received(sources);
        self.faults
            .around_call(StoreCall::Other("last_received"), work)
            .await
    }

    async fn oldest_unapplied(&self) -> Result<Option<Timestamp>, StoreError> {
        let work = self.inner.oldest_unapplied();
        self.faults
            .around_call(StoreCall::Other("oldest_unapplied"), work)
            .await
    }
}
