//! The metadata that Clerk should hold and does not hold yet.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::time::Timestamp;
use super::user::{Revision, UserId};

/// Where the delivery of one user's desired metadata stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not delivered, or not known to be; will be sent when due.
    Pending,
    /// Clerk confirmed the desired state.
    Delivered,
    /// Clerk does not know the user, or the user was deleted.
    UserGone,
    /// Clerk refused this very content; sending it again would not help. Someone has to look.
    Parked,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::UserGone, Self::Parked];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::UserGone => "user_gone",
            Self::Parked => "parked",
        }
    }

    /// Reads the word back; `None` if it is not one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for DeliveryState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The right to deliver one user's desired metadata until the lease runs out.
///
/// Not needed for correctness, as sending twice is harmless; it keeps dispatchers from doing each
/// other's work. A settlement under a lease that was lost meanwhile is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxLease {
    /// Whose metadata.
    pub user_id: UserId,
    /// What to merge into `public_metadata`.
    pub desired: Value,
    /// Which lease this is: a number that grows with each lease of this user.
    pub lease: i64,
    /// How many attempts at this desired state have failed before.
    pub failures: u32,
    /// The state of the user that the mirror showed when the lease began, if any.
    pub mirrored: Option<Revision>,
}

/// How an attempt to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Clerk confirmed it.
    Delivered,
    /// Clerk does not know the user. Ends the delivery, unless the user was mirrored during the call:
    /// then Clerk's answer may be older than what the mirror shows.
    UserGone {
        /// When to try again, if so.
        again_at: Timestamp,
        /// What Clerk said, in one line.
        error: String,
    },
    /// Nothing was sent: no attempt, and nothing was learnt.
    NotSent,
    /// It may work later.
    Retry {
        /// When to try again.
        at: Timestamp,
        /// Whether this counts as a failed attempt at this state; a throttled or refused key does
        /// not.
        charged: bool,
        /// What went wrong, in one line.
        error: String,
    },
    /// It will not work.
    Parked {
        /// What went wrong, in one line.
        error: String,
    },
}

/// One row of the outbox, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutboxEntry {
    /// Whose metadata.
    pub user_id: UserId,
    /// Where it stands.
    pub state: DeliveryState,
    /// What Clerk should hold.
    pub desired: Value,
    /// What Clerk last confirmed, as far as it is known.
    pub delivered: Option<Value>,
    /// Failed attempts at the desired state.
    pub failures: u32,
    /// When it will be sent next, if it will.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the row last changed.
    pub updated_at: Timestamp,
}
