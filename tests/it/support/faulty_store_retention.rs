//! What a faulty store passes on of [`Retention`].

use async_trait::async_trait;
use hookmirror::model::operator::OperatorAction;
use hookmirror::model::retention::{Erasure, Overdue, Step};
use hookmirror::model::time::Timestamp;
use hookmirror::store::{Retention, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> Retention for FaultyStore<F> {
    async fn prune_payloads(
        &self,
        before: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        let inner = &self.inner;
        let work = inner.prune_payloads(before, limit, action, recorded_as, now);
        self.faults
            .around_call(StoreCall::Sweep("prune_payloads"), work)
            .await
    }

    async fn erase_deleted(
        &self,
        deleted_by: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        let inner = &self.inner;
        let work = inner.erase_deleted(deleted_by, limit, action, recorded_as, now);
        self.faults
            .around_call(StoreCall::Sweep("erase_deleted"), work)
            .await
    }

    async fn delete_events(
        &self,
        before: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        let inner = &self.inner;
        let work = inner.delete_events(before, limit, action, recorded_as, now);
        self.faults
            .around_call(StoreCall::Sweep("delete_events"), work)
            .await
    }

    async fn erase(
        &self,
        subjects: &[String],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Erasure, StoreError> {
        let work = self.inner.erase(subjects, action, now);
        self.faults
            .around_call(StoreCall::Other("erase"), work)
            .await
    }

    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError> {
        let work = self.inner.overdue(before);
        self.faults
            .around_call(StoreCall::Other("overdue"), work)
            .await
    }

    async fn clear_traces(&self) -> Result<(), StoreError> {
        let work = self.inner.clear_traces();
        self.faults
            .around_call(StoreCall::Other("clear_traces"), work)
            .await
    }
}
