//! Events that somebody has had processed again. One writer at a time: nobody is in anybody's way.

use async_trait::async_trait;

use super::{SqliteStore, StoreError};
use crate::model::event::EventKey;
use crate::model::operator::{ActionRecord, Mode, Operator, Reason};
use crate::model::replay::plan::ReplayPlan;
use crate::model::replay::{
    CancelledReplay, Replay, ReplayId, ReplayLease, ReplayOfEvent, ReplayOrder, ReplayProgress,
    ReplayRecord, ReplayRound, ReplayedEvent, StartedReplay,
};
use crate::model::time::Timestamp;
use crate::store::Replays;

mod leases;
mod orders;
mod planning;
mod read;
mod settling;

pub(super) use self::settling::{open, put_back, settle};

#[async_trait]
impl Replays for SqliteStore {
    async fn plan_replay(
        &self,
        order: &ReplayOrder,
        now: Timestamp,
    ) -> Result<(ReplayPlan, ActionRecord), StoreError> {
        planning::plan(self, order, now).await
    }

    async fn start_replay(
        &self,
        order: &ReplayOrder,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<StartedReplay, StoreError> {
        orders::start(self, order, reason, now).await
    }

    async fn cancel_replay(
        &self,
        id: ReplayId,
        operator: &Operator,
        mode: &Mode,
        now: Timestamp,
    ) -> Result<Option<CancelledReplay>, StoreError> {
        orders::cancel(self, id, operator, mode, now).await
    }

    async fn list_replays(&self, limit: u32) -> Result<Vec<Replay>, StoreError> {
        read::list(self, limit).await
    }

    async fn find_replay(&self, id: ReplayId) -> Result<Option<ReplayRecord>, StoreError> {
        read::find(self, id).await
    }

    async fn replayed_events(
        &self,
        id: ReplayId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ReplayedEvent>, StoreError> {
        read::events(self, id, after, limit).await
    }

    async fn replays_of(&self, event: &EventKey) -> Result<Vec<ReplayOfEvent>, StoreError> {
        read::of_event(self, event).await
    }

    async fn running_replays(&self) -> Result<Vec<ReplayProgress>, StoreError> {
        read::running(self).await
    }

    async fn lease_replays(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ReplayRound, StoreError> {
        leases::lease(self, now, until).await
    }

    async fn replays_queued(
        &self,
        leases: &[ReplayLease],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        leases::queued(self, leases, now).await
    }
}
