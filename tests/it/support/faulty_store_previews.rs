//! Delegation of what a preview asks of the store.

use async_trait::async_trait;
use hookmirror::model::changes::Planned;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{ActionRecord, OperatorAction};
use hookmirror::model::preview::{Previewed, Recalled};
use hookmirror::model::time::Timestamp;
use hookmirror::store::{Previews, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> Previews for FaultyStore<F> {
    async fn recall_events(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Recalled, StoreError> {
        let work = self.inner.recall_events(filter, limit);
        self.faults
            .around_call(StoreCall::Other("recall_events"), work)
            .await
    }

    async fn preview(
        &self,
        batch: &[Planned],
        matched: u64,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<(Previewed, ActionRecord), StoreError> {
        let work = self.inner.preview(batch, matched, action, now);
        self.faults
            .around_call(StoreCall::Other("preview"), work)
            .await
    }
}
