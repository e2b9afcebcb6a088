//! Delegation of what concerns paused sources.

use async_trait::async_trait;
use hookmirror::model::operator::{ActionRecord, OperatorAction};
use hookmirror::model::pause::{SourceChange, SourceStanding};
use hookmirror::model::source::SourceName;
use hookmirror::model::time::Timestamp;
use hookmirror::store::{Pauses, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> Pauses for FaultyStore<F> {
    async fn source_standings(&self) -> Result<Vec<SourceStanding>, StoreError> {
        let work = self.inner.source_standings();
        self.faults
            .around_call(StoreCall::Other("source_standings"), work)
            .await
    }

    async fn change_sources(
        &self,
        change: SourceChange,
        sources: &[SourceName],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        let work = self.inner.change_sources(change, sources, action, now);
        self.faults
            .around_call(StoreCall::Other("change_sources"), work)
            .await
    }

    async fn release_parked(&self, limit: u32, now: Timestamp) -> Result<u64, StoreError> {
        let work = self.inner.release_parked(limit, now);
        self.faults
            .around_call(StoreCall::Other("release_parked"), work)
            .await
    }
}
