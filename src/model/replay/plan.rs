//! What a replay would take: looked at before anything is done.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::event::EventType;
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::time::Timestamp;

/// The events that a replay would have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayPlan {
    /// How many.
    pub events: u64,
    /// How many more match, and cannot be replayed, as their payload is not kept.
    pub not_kept: u64,
    /// How many different things they are about. Events about the same go one after the other.
    pub subjects: u64,
    /// When the first of them was received.
    pub oldest: Option<Timestamp>,
    /// When the last of them was.
    pub newest: Option<Timestamp>,
    /// What they are, the most frequent first.
    pub kinds: Vec<ReplayedKind>,
}

/// Events that match, by what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayedKind {
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Where they are from.
    pub source: SourceName,
    /// Where they stand.
    pub state: EventState,
    /// How many.
    pub events: u64,
}
