//! Events that somebody has had processed again.
//!
//! Rows of a replay are locked in the order of their positions: by the worker that settles some, before
//! it locks anything else, by who reports what is on the queue, and by who cancels. What a settled event
//! lets go has a later position, and nobody but who cancels could hold it. So nobody waits in a circle.

use async_trait::async_trait;

use super::{PostgresStore, StoreError, bounded};
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
impl Replays for PostgresStore {
    async fn plan_replay(
        &self,
        order: &ReplayOrder,
        now: Timestamp,
    ) -> Result<(ReplayPlan, ActionRecord), StoreError> {
        bounded("plan a replay", planning::plan(self, order, now)).await
    }

    async fn start_replay(
        &self,
        order: &ReplayOrder,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<StartedReplay, StoreError> {
        // Bounded by the server.
        orders::start(self, order, reason, now).await
    }

    async fn cancel_replay(
        &self,
        id: ReplayId,
        operator: &Operator,
        mode: &Mode,
        now: Timestamp,
    ) -> Result<Option<CancelledReplay>, StoreError> {
        // Bounded by the server.
        orders::cancel(self, id, operator, mode, now).await
    }

    async fn list_replays(&self, limit: u32) -> Result<Vec<Replay>, StoreError> {
        bounded("list replays", read::list(self, limit)).await
    }

    async fn find_replay(&self, id: ReplayId) -> Result<Option<ReplayRecord>, StoreError> {
        bounded("read a replay", read::find(self, id)).await
    }

    async fn replayed_events(
        &self,
        id: ReplayId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ReplayedEvent>, StoreError> {
        let events = read::events(self, id, after, limit);
        bounded("list the events of a replay", events).await
    }

    async fn replays_of(&self, event: &EventKey) -> Result<Vec<ReplayOfEvent>, StoreError> {
        let replays = read::of_event(self, event);
        bounded("list the replays of an event", replays).await
    }

    async fn running_replays(&self) -> Result<Vec<ReplayProgress>, StoreError> {
        bounded("read how far replays are", read::running(self)).await
    }

    async fn lease_replays(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ReplayRound, StoreError> {
        bounded("lease events of replays", leases::lease(self, now, until)).await
    }

    async fn replays_queued(
        &self,
        leases: &[ReplayLease],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let queued = leases::queued(self, leases, now);
        bounded("record that events of replays are on the queue", queued).await
    }
}
