//! What a person does to events that did not end by themselves.

use serde::Serialize;
use utoipa::ToSchema;

use super::event::EventType;
use super::ledger::EventSummary;
use super::operator::ActionRecord;
use super::state::EventState;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventChange {
    /// Gives up on what failed, waits, is to be tried again or was put aside by a pause.
    Discard,
    /// Makes due now what is to be tried again later.
    RetryNow,
}

/// Events of one type in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventTally {
    /// The state.
    pub state: EventState,
    /// The type.
    pub event_type: EventType,
    /// How many.
    pub events: u64,
}

/// Events in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StateTally {
    /// The state.
    pub state: EventState,
    /// How many.
    pub events: u64,
}

/// What was found, and what was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChangedEvents {
    /// The line in the record of what operators did.
    pub action: ActionRecord,
    /// What it is done to, as it was before.
    pub tally: Vec<EventTally>,
    /// What matches as well, and this cannot be done to. Told if events were named by their ids, or
    /// there is nothing else.
    pub passed_over: Vec<StateTally>,
    /// Some of the events, as they were before.
    pub examples: Vec<EventSummary>,
}
