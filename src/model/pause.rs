//! Sources that are paused: their events are accepted and recorded, and have no effect until then.

use serde::Serialize;
use utoipa::ToSchema;

use super::operator::Operator;
use super::source::SourceName;
use super::time::Timestamp;

/// What an operator does to the processing of a source's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceChange {
    /// Puts them aside from now on.
    Pause,
    /// Takes them up again.
    Resume,
}

/// That a source is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub operator: Operator,
    /// Why.
    pub reason: String,
}

/// How a source stands, as the ledger sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceStanding {
    /// Its name.
    pub source: SourceName,
    /// Whether it is paused, and who paused it.
    pub pause: Option<Pause>,
    /// When the latest event of it was received, of those that are recorded.
    pub last_received_at: Option<Timestamp>,
    /// Events put aside by a pause, and not taken up again yet.
    pub parked: u64,
    /// When the oldest of those was received.
    pub oldest_parked_at: Option<Timestamp>,
    /// When the oldest event was received that is still to be processed, those put aside included.
    pub oldest_unapplied_at: Option<Timestamp>,
}
