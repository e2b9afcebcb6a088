//! The calls about groups of failures, delegated.

use async_trait::async_trait;
use hookmirror::model::failure::{FailureChange, FailureGroup, GroupState};
use hookmirror::model::operator::{ActionRecord, OperatorAction};
use hookmirror::model::time::Timestamp;
use hookmirror::store::{Failures, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> Failures for FaultyStore<F> {
    async fn list_failures(
        &self,
        states: &[GroupState],
        limit: u32,
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let work = self.inner.list_failures(states, limit);
        self.faults
            .around_call(StoreCall::Other("list_failures"), work)
            .await
    }

    async fn find_failures(
        &self,
        fingerprints: &[String],
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let work = self.inner.find_failures(fingerprints);
        self.faults
            .around_call(StoreCall::Other("find_failures"), work)
            .await
    }

    async fn change_failures(
        &self,
        change: FailureChange,
        fingerprints: &[String],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        let work = self
            .inner
            .change_failures(change, fingerprints, action, now);
        self.faults
            .around_call(StoreCall::Other("change_failures"), work)
            .await
    }
}
