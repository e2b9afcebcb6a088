//! Delegation of what people do by hand, and of its record.

use async_trait::async_trait;
use hookmirror::model::by_hand::{ChangedEvents, EventChange};
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{ActionFilter, ActionRecord, OperatorAction};
use hookmirror::model::time::Timestamp;
use hookmirror::store::{ActionLog, EventChanges, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> EventChanges for FaultyStore<F> {
    async fn change_events(
        &self,
        change: EventChange,
        filter: &EventFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ChangedEvents, StoreError> {
        let work = self.inner.change_events(change, filter, action, now);
        self.faults
            .around_call(StoreCall::Other("change_events"), work)
            .await
    }
}

#[async_trait]
impl<F: Around> ActionLog for FaultyStore<F> {
    async fn list_actions(
        &self,
        filter: &ActionFilter,
        limit: u32,
    ) -> Result<Vec<ActionRecord>, StoreError> {
        let work = self.inner.list_actions(filter, limit);
        self.faults
            .around_call(StoreCall::Other("list_actions"), work)
            .await
    }
}
