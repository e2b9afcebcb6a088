//! Replays: events that somebody has had processed again.
//!
//! A replay is a list of events, fixed when it is started. [`pace`] says how fast it goes, [`plan`] what
//! it would take.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::event::{Event, EventKey};
use super::ledger::EventFilter;
use super::operator::{ActionRecord, Mode, Operator, OperatorAction};
use super::state::EventState;
use super::time::Timestamp;
pub use super::trigger::ReplayId;
use super::words::words;

pub mod pace;
pub mod plan;

/// How many events a replay puts on the queue in a second, 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = i64)]
pub struct ReplayRate(u32);

impl ReplayRate {
    /// Slow enough that live events hardly notice.
    pub const DEFAULT: Self = Self(50);
    /// The fastest.
    pub const MOST: u32 = 1000;

    /// Takes a rate within the bounds; `None` otherwise.
    pub fn new(per_second: u32) -> Option<Self> {
        (1..=Self::MOST)
            .contains(&per_second)
            .then_some(Self(per_second))
    }

    /// Events in a second.
    pub const fn per_second(self) -> u32 {
        self.0
    }

    /// How long so many events take at least.
    pub fn time_for(self, events: u64) -> Duration {
        Duration::from_secs(events.div_ceil(u64::from(self.0)))
    }
}

impl Serialize for ReplayRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

words! {
    /// Where a replay stands.
    pub enum ReplayState {
        /// Its events go onto the queue, or are on it.
        Running => "running",
        /// Every event was processed.
        Done => "done",
        /// Somebody ended it; what was not processed until then is not.
        Cancelled => "cancelled",
    }
}

words! {
    /// Where an event stands in a replay.
    pub enum ReplayStep {
        /// Waits for an earlier event about the same subject.
        Held => "held",
        /// Waits for its turn.
        Pending => "pending",
        /// On the queue.
        Queued => "queued",
        /// Processed, in whatever way that ended.
        Done => "done",
        /// Not processed, as the replay was cancelled before.
        Cancelled => "cancelled",
    }
}

/// Which events a replay takes: of those that match and whose payload is kept, the first so many in the
/// order in which they were received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayScope {
    /// Which match.
    pub filter: EventFilter,
    /// How many of them; `None`: all.
    pub limit: Option<u32>,
}

/// What somebody asks to be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOrder {
    /// Which events.
    pub scope: ReplayScope,
    /// How fast.
    pub rate: ReplayRate,
    /// Who asks.
    pub operator: Operator,
}

impl ReplayOrder {
    /// The action as it is recorded.
    pub fn action(&self, mode: Mode) -> OperatorAction {
        OperatorAction {
            operator: self.operator.clone(),
            action: "replay",
            target: json!({
                "filter": self.scope.filter, "limit": self.scope.limit, "rate": self.rate,
            }),
            mode,
        }
    }
}

/// A replay, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Replay {
    /// Its number.
    pub id: ReplayId,
    /// Where it stands.
    pub state: ReplayState,
    /// When it was started.
    pub created_at: Timestamp,
    /// Who started it.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// Which events it was to take, as JSON.
    pub filter: Value,
    /// How many of them at most.
    pub limit: Option<u64>,
    /// Events in a second.
    pub rate: ReplayRate,
    /// How many events it has.
    pub total: u64,
    /// Those among them that were processed.
    pub done: u64,
    /// Those among them that will not be.
    pub cancelled: u64,
    /// When its last event was processed, or it was cancelled.
    pub finished_at: Option<Timestamp>,
    /// Who cancelled it.
    pub cancelled_by: Option<String>,
    /// Why.
    pub cancel_reason: Option<String>,
}

/// How many events of a replay ended in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayOutcome {
    /// What processing came to.
    pub outcome: String,
    /// The state in which the event was afterwards; `None`: the ledger has no such event any more.
    pub state: Option<EventState>,
    /// Groups failures of the same kind.
    pub fingerprint: Option<String>,
    /// Events.
    pub events: u64,
    /// The first of them.
    pub example: EventKey,
}

/// A replay with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReplayRecord {
    /// The replay.
    #[serde(flatten)]
    pub replay: Replay,
    /// Events that wait for another one, for their turn, or on the queue.
    pub held: u64,
    /// See `held`.
    pub pending: u64,
    /// See `held`.
    pub queued: u64,
    /// What processing came to, the most frequent first.
    pub outcomes: Vec<ReplayOutcome>,
}

/// One event of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayedEvent {
    /// Its place in the replay, from 1.
    pub position: u64,
    /// Which event.
    #[serde(flatten)]
    pub key: EventKey,
    /// What it is about.
    pub subject: Option<String>,
    /// Where it stands in the replay.
    pub step: ReplayStep,
    /// What processing came to.
    pub outcome: Option<String>,
    /// The state in which the event was afterwards.
    pub state: Option<EventState>,
    /// The chain of causes, if processing failed.
    pub error: Option<String>,
    /// When it was processed.
    pub settled_at: Option<Timestamp>,
}

/// One replay of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayOfEvent {
    /// The replay.
    pub replay: ReplayId,
    /// When it was started.
    pub created_at: Timestamp,
    /// Who started it.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// Where the event stands in it.
    pub step: ReplayStep,
    /// What processing came to.
    pub outcome: Option<String>,
    /// The state in which the event was afterwards.
    pub state: Option<EventState>,
    /// The chain of causes, if processing failed.
    pub error: Option<String>,
    /// When it was processed.
    pub settled_at: Option<Timestamp>,
}

/// How far a running replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayProgress {
    /// Which.
    pub id: ReplayId,
    /// How many events it has.
    pub total: u64,
    /// Those among them that were processed.
    pub done: u64,
}

/// A replay that was started.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedReplay {
    /// Its number; `None`: there was nothing to replay.
    pub id: Option<ReplayId>,
    /// The line in the record of what operators did.
    pub action: ActionRecord,
}

/// What came of a request to cancel a replay.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CancelledReplay {
    /// The replay as it is now.
    #[serde(flatten)]
    pub replay: Replay,
    /// The line in the record of what operators did.
    pub action: ActionRecord,
}

/// The right to put one event of a replay onto the queue until the lease runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayLease {
    /// Which replay.
    pub replay: ReplayId,
    /// The event's place in it.
    pub position: i64,
    /// The event as it came first, to be published like this.
    pub event: Event,
    /// When it may be leased again, unless it is reported as queued before.
    pub until: Timestamp,
}

/// What a look at the running replays came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayRound {
    /// What is to be put onto the queue now.
    pub leases: Vec<ReplayLease>,
    /// Whether any replay runs, so that there is more to come.
    pub running: bool,
}
