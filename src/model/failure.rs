//! Failures in groups: everything that fails in the same way is one thing to look into.
//!
//! A group is `open` until a person acknowledges it (somebody is on it) or resolves it (it should not
//! come again). If it does come again, a resolved group is open again; an acknowledged one stays so.

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::event::{EventKey, EventType};
use super::operator::Operator;
use super::time::Timestamp;

/// Where people stand with a group of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum GroupState {
    /// Nobody has said that they are on it.
    Open,
    /// Somebody is on it.
    Acknowledged,
    /// It should not come again.
    Resolved,
}

impl GroupState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What a person decided last about a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Operator,
    /// Why.
    pub reason: String,
}

/// Everything that fails in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FailureGroup {
    /// What they have in common, in short.
    pub fingerprint: String,
    /// Where people stand with it.
    pub state: GroupState,
    /// What kind of failure it is.
    pub kind: String,
    /// What the events are that fail like this.
    pub event_type: EventType,
    /// Events whose state is `failed` because of it, now.
    pub failed: u64,
    /// Events that are tried again because of it, now.
    pub retrying: u64,
    /// Attempts that ended like this so far.
    pub occurrences: u64,
    /// When the first of them ended.
    pub first_seen: Timestamp,
    /// When the last of them ended.
    pub last_seen: Timestamp,
    /// The event that failed like this last.
    pub example: EventKey,
    /// Its error.
    pub last_error: String,
    /// What a person decided last.
    pub decided: Option<Decided>,
    /// When it last came again after it was resolved.
    pub reopened_at: Option<Timestamp>,
}

/// What a person can decide about groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureChange {
    /// Open ones: somebody is on it.
    Acknowledge,
    /// Open and acknowledged ones: it should not come again.
    Resolve,
    /// Acknowledged and resolved ones: somebody should look again.
    Reopen,
}

impl FailureChange {
    /// The state that it gives.
    pub const fn to(self) -> GroupState {
        match self {
            Self::Acknowledge => GroupState::Acknowledged,
            Self::Resolve => GroupState::Resolved,
            Self::Reopen => GroupState::Open,
        }
    }

    /// The states of groups that it can be done to.
    pub const fn from(self) -> &'static [GroupState] {
        match self {
            Self::Acknowledge => &[GroupState::Open],
            Self::Resolve => &[GroupState::Open, GroupState::Acknowledged],
            Self::Reopen => &[GroupState::Acknowledged, GroupState::Resolved],
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for GroupState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
