//! The states an accepted event can be in. The same words stand in the `CHECK` of the schema.

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Where an accepted event stands. Every event is in exactly one state, and `accepted = sum of all
/// states + still queued` holds at any time (promise P5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum EventState {
    /// In the ledger, and back on the queue to be processed again; or held back, with the outcome
    /// `paused`, until its source is resumed.
    Queued,
    /// Its effect is committed, or was found to be superseded; `outcome` says which.
    Applied,
    /// Nothing to do for it, on purpose; `outcome` says why.
    Ignored,
    /// Recorded, but part of its effect needs a fact that has not arrived. Released by that fact.
    Waiting,
    /// Failed in a way that may pass; will be tried again at `next_attempt_at`.
    Retrying,
    /// Failed for good; someone has to look. Nothing else is held up by it.
    Failed,
    /// A named person decided that nothing is to be done about it.
    Discarded,
}

impl EventState {
    /// All states, in the order in which listings show them.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Applied,
        Self::Ignored,
        Self::Waiting,
        Self::Retrying,
        Self::Failed,
        Self::Discarded,
    ];

    /// The word used in the database, in filters and in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// Reads the word back; `None` if it is not one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether another delivery of the same event changes nothing: its effect is committed, or was
    /// decided against. Other states take a further delivery as a further attempt.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Applied | Self::Ignored | Self::Discarded => true,
            Self::Queued | Self::Waiting | Self::Retrying | Self::Failed => false,
        }
    }

    /// The state after a replay whose processing alone would lead to `processed`.
    ///
    /// What was done stays done: a failure makes nothing worse that was applied, ignored or recorded,
    /// and only a payment that has lost its user is not applied any more.
    pub const fn after_replay(self, processed: Self) -> Self {
        if self.stands_after_replay(processed) {
            self
        } else {
            processed
        }
    }

    /// Whether such a replay leaves the event as it was, its outcome too.
    pub const fn stands_after_replay(self, processed: Self) -> bool {
        match (self, processed) {
            (Self::Applied, Self::Waiting) => false,
            (Self::Applied, _) => true,
            (Self::Ignored | Self::Waiting, Self::Failed | Self::Retrying) => true,
            _ => false,
        }
    }
}

impl fmt::Display for EventState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for EventState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
