//! The same for replays.

use async_trait::async_trait;
use hookmirror::model::event::EventKey;
use hookmirror::model::operator::{ActionRecord, Mode, Operator, Reason};
use hookmirror::model::replay::plan::ReplayPlan;
use hookmirror::model::replay::{
    CancelledReplay, Replay, ReplayId, ReplayLease, ReplayOfEvent, ReplayOrder, ReplayProgress,
    ReplayRecord, ReplayRound, ReplayedEvent, StartedReplay,
};
use hookmirror::model::time::Timestamp;
use hookmirror::store::{Replays, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> Replays for FaultyStore<F> {
    async fn plan_replay(
        &self,
        order: &ReplayOrder,
        now: Timestamp,
    ) -> Result<(ReplayPlan, ActionRecord), StoreError> {
        let work = self.inner.plan_replay(order, now);
        self.faults
            .around_call(StoreCall::Other("plan_replay"), work)
            .await
    }

    async fn start_replay(
        &self,
        order: &ReplayOrder,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<StartedReplay, StoreError> {
        let work = self.inner.start_replay(order, reason, now);
        self.faults
            .around_call(StoreCall::Other("start_replay"), work)
            .await
    }

    async fn cancel_replay(
        &self,
        id: ReplayId,
        operator: &Operator,
        mode: &Mode,
        now: Timestamp,
    ) -> Result<Option<CancelledReplay>, StoreError> {
        let work = self.inner.cancel_replay(id, operator, mode, now);
        self.faults
            .around_call(StoreCall::Other("cancel_replay"), work)
            .await
    }

    async fn list_replays(&self, limit: u32) -> Result<Vec<Replay>, StoreError> {
        let work = self.inner.list_replays(limit);
        self.faults
            .around_call(StoreCall::Other("list_replays"), work)
            .await
    }

    async fn find_replay(&self, id: ReplayId) -> Result<Option<ReplayRecord>, StoreError> {
        let work = self.inner.find_replay(id);
        self.faults
            .around_call(StoreCall::Other("find_replay"), work)
            .await
    }

    async fn replayed_events(
        &self,
        id: ReplayId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ReplayedEvent>, StoreError> {
        let work = self.inner.replayed_events(id, after, limit);
        self.faults
            .around_call(StoreCall::Other("replayed_events"), work)
            .await
    }

    async fn replays_of(&self, event: &EventKey) -> Result<Vec<ReplayOfEvent>, StoreError> {
        let work = self.inner.replays_of(event);
        self.faults
            .around_call(StoreCall::Other("replays_of"), work)
            .await
    }

    async fn running_replays(&self) -> Result<Vec<ReplayProgress>, StoreError> {
        let work = self.inner.running_replays();
        self.faults
            .around_call(StoreCall::Other("running_replays"), work)
            .await
    }

    async fn lease_replays(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ReplayRound, StoreError> {
        let work = self.inner.lease_replays(now, until);
        self.faults.around_call(StoreCall::LeaseReplays, work).await
    }

    async fn replays_queued(
        &self,
        leases: &[ReplayLease],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let work = self.inner.replays_queued(leases, now);
        self.faults
            .around_call(StoreCall::ReplaysQueued, work)
            .await
    }
}
