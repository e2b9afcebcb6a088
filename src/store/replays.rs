//! Events that somebody has had processed again, as the database keeps them.
//!
//! Actors: an operator starts a replay, which is a list of events fixed at that moment, or cancels it;
//! schedulers lease its events at its pace and report what is on the queue; the worker that processes
//! such an event settles it, in the transaction of its batch ([`Store::apply`](super::Store::apply)).
//!
//! - An event is processed once for each replay that has it, whatever became of it before. Another
//!   message for the same event and replay has no effect.
//! - What it tells is written again where the mirror differs, even if that was told before; where nothing
//!   differs, nothing is written but the ledger. An event older than what the mirror shows changes nothing.
//! - Events about the same subject go one after the other, in the order in which they were received;
//!   each waits until the one before it is settled. Events without a subject have no order.
//! - What is cancelled is exact: an event is either processed, with its effect committed, or cancelled,
//!   and will not be processed for this replay.
//! - NOT promised: that an event goes onto the queue only once; or that a replay that has ended says so
//!   while no scheduler runs.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::event::EventKey;
use crate::model::operator::{ActionRecord, Mode, Operator, Reason};
use crate::model::replay::plan::ReplayPlan;
use crate::model::replay::{
    CancelledReplay, Replay, ReplayId, ReplayLease, ReplayOfEvent, ReplayOrder, ReplayProgress,
    ReplayRecord, ReplayRound, ReplayedEvent, StartedReplay,
};
use crate::model::time::Timestamp;

/// When nothing of a replay was processed for this long, what is on the queue is taken for lost and put
/// there again: somebody may have emptied the queue. A second message has no effect.
pub const STALLED_AFTER: Duration = Duration::from_secs(30 * 60);
/// The outcome of an event whose payload was there when the replay was started and is no more.
pub(super) const PAYLOAD_GONE: &str = "payload_gone";
/// The outcome of an event whose row holds what this program does not write.
pub(super) const ROW_DAMAGED: &str = "row_damaged";

/// The replays of a store.
#[async_trait]
pub trait Replays: Debug + Send + Sync {
    /// Tells what a replay would take, and records that somebody looked: in one transaction.
    async fn plan_replay(
        &self,
        order: &ReplayOrder,
        now: Timestamp,
    ) -> Result<(ReplayPlan, ActionRecord), StoreError>;

    /// Starts a replay of what matches now, and records it: in one transaction. If nothing matches, none
    /// is started.
    async fn start_replay(
        &self,
        order: &ReplayOrder,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<StartedReplay, StoreError>;

    /// Ends a replay: what was not processed will not be. Records it, in the same transaction; a dry run
    /// only counts. One that has ended, or whose events were all processed, stays as it is. `None` if
    /// there is no such replay.
    async fn cancel_replay(
        &self,
        id: ReplayId,
        operator: &Operator,
        mode: &Mode,
        now: Timestamp,
    ) -> Result<Option<CancelledReplay>, StoreError>;

    /// Replays, newest first, `limit` at most.
    async fn list_replays(&self, limit: u32) -> Result<Vec<Replay>, StoreError>;

    /// One replay with what came of it; `None` if there is no such replay.
    async fn find_replay(&self, id: ReplayId) -> Result<Option<ReplayRecord>, StoreError>;

    /// The events of a replay behind this position, in their order, `limit` at most.
    async fn replayed_events(
        &self,
        id: ReplayId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ReplayedEvent>, StoreError>;

    /// The replays that have an event, oldest first.
    async fn replays_of(&self, event: &EventKey) -> Result<Vec<ReplayOfEvent>, StoreError>;

    /// How far the running replays are, oldest first.
    async fn running_replays(&self) -> Result<Vec<ReplayProgress>, StoreError>;

    /// Leases until `until` what the pace of each running replay allows at `now`. No two callers lease
    /// the same event, or exceed the pace together. Ends a replay whose events are all settled, and lets
    /// what is lost on the queue be leased again ([`STALLED_AFTER`]). Writes nothing while none runs.
    async fn lease_replays(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ReplayRound, StoreError>;

    /// Records that these are on the queue. Ignored for an event that was processed or cancelled since,
    /// or whose lease was lost.
    async fn replays_queued(
        &self,
        leases: &[ReplayLease],
        now: Timestamp,
    ) -> Result<(), StoreError>;
}

/// How an event of a replay ended.
#[derive(Clone, Debug)]
pub(super) struct Settled<'a> {
    pub(super) replay: ReplayId,
    pub(super) position: i64,
    pub(super) event: &'a EventKey,
    pub(super) outcome: &'a str,
    pub(super) error: Option<String>,
    pub(super) fingerprint: Option<&'a str>,
}
