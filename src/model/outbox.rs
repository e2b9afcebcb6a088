//! The metadata that Clerk should hold and does not hold yet.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::source::SourceName;
use super::time::Timestamp;
use super::trace::TraceContext;
use super::user::{Revision, UserId};

/// Where the delivery of one user's desired metadata stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not delivered, or not known to be; will be sent when due.
    Pending,
    /// Clerk confirmed the desired state.
    Delivered,
    /// Clerk does not know the user, or the user was deleted.
    UserGone,
    /// Clerk refused this very content; sending it again would not help. Someone has to look.
    Parked,
    /// A person gave up on this desired state. A change of it is delivered like any other.
    Discarded,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Delivered,
        Self::UserGone,
        Self::Parked,
        Self::Discarded,
    ];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::UserGone => "user_gone",
            Self::Parked => "parked",
            Self::Discarded => "discarded",
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

/// Whose metadata a dispatcher delivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// Everyone's: there is one Clerk instance.
    #[default]
    All,
    /// That of the users of one Clerk instance among several.
    Of {
        /// The source under which its users are mirrored.
        instance: SourceName,
        /// Users too who are not mirrored yet, or were before their instance was recorded. One
        /// instance should take them: if it does not know such a user, the entry rests until the user
        /// is mirrored.
        strangers: bool,
    },
}

impl Recipients {
    /// The instance, if it is one among several.
    pub fn instance(&self) -> Option<&SourceName> {
        match self {
            Self::All => None,
            Self::Of { instance, .. } => Some(instance),
        }
    }

    /// The instance that users count to of whom none is known.
    pub fn of_strangers(&self) -> Option<&SourceName> {
        match self {
            Self::Of {
                instance,
                strangers: true,
            } => Some(instance),
            Self::All | Self::Of { .. } => None,
        }
    }
}

/// The right to deliver one user's desired metadata until the lease runs out.
///
/// While it lasts, nobody else writes for this user. It may be lost under a call nevertheless: a clock
/// jumps, or a process stands still. Then two writes can arrive in either order, and when the call is
/// settled in the end, the desired state is sent once more.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxLease {
    /// Whose metadata.
    pub user_id: UserId,
    /// What to merge into `public_metadata`.
    pub desired: Value,
    /// What Clerk was known to hold when the lease began, if that was known. While the lease lasts,
    /// the entry does not say.
    pub delivered: Option<Value>,
    /// Which lease this is: a number that grows with each lease of this user.
    pub lease: i64,
    /// How many attempts at this desired state have failed before.
    pub failures: u32,
    /// The trace of the event that last changed what is desired, if it is known.
    pub trace: Option<TraceContext>,
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
    /// Nothing was sent: no attempt, nothing was learnt, and Clerk holds what it held before.
    NotSent {
        /// When to try again.
        again_at: Timestamp,
    },
    /// It may work later.
    Retry {
        /// When to try again.
        at: Timestamp,
        /// Whose fault it is.
        because: RetryReason,
        /// What went wrong, in one line.
        error: String,
    },
    /// It will not work.
    Parked {
        /// What went wrong, in one line.
        error: String,
    },
}

impl DeliveryOutcome {
    /// The word in the history; `None` for what is no attempt.
    pub const fn word(&self) -> Option<&'static str> {
        match self {
            Self::Delivered => Some("delivered"),
            Self::UserGone { .. } => Some("user_gone"),
            Self::NotSent { .. } => None,
            Self::Retry { because, .. } => Some(because.as_str()),
            Self::Parked { .. } => Some("parked"),
        }
    }

    /// Whether Clerk may hold now what was sent.
    pub const fn may_have_arrived(&self) -> bool {
        matches!(
            self,
            Self::Delivered
                | Self::Retry {
                    because: RetryReason::Failed,
                    ..
                }
        )
    }
}

/// Why an attempt did not work this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryReason {
    /// No answer, a conflict or an error of Clerk's: counts as a failed attempt at this state.
    Failed,
    /// Too many requests: says nothing about this user.
    Throttled,
    /// The key is not accepted: says nothing about this user.
    KeyRefused,
}

impl RetryReason {
    /// The word in the history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "retry",
            Self::Throttled => "throttled",
            Self::KeyRefused => "key_refused",
        }
    }

    /// Whether it counts as a failed attempt.
    pub const fn is_charged(self) -> bool {
        matches!(self, Self::Failed)
    }
}

/// One row of the outbox, for people.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
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
    /// Since when this state is the desired one.
    pub desired_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}

/// One user's entry with its history, for people.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OutboxRecord {
    /// The entry.
    #[serde(flatten)]
    pub entry: OutboxEntry,
    /// How many leases there have been.
    pub leases: i64,
    /// Until when a dispatcher may be sending it, if one has it in hand.
    pub leased_until: Option<Timestamp>,
    /// The latest attempts, newest first.
    pub attempts: Vec<OutboxAttempt>,
}

/// One attempt at delivery.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OutboxAttempt {
    /// When it ended.
    pub at: Timestamp,
    /// What was sent.
    pub desired: Value,
    /// How it ended: the word of a [`DeliveryOutcome`].
    pub outcome: String,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

/// How many entries are in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutboxCount {
    /// The state.
    pub state: DeliveryState,
    /// How many entries are in it.
    pub entries: u64,
    /// Since when the one that waits longest has been desired.
    pub oldest: Timestamp,
}

/// Which entries. Everything given must hold; an empty list holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutboxFilter {
    /// Of one of these users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    /// In one of these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<DeliveryState>,
}

/// What a person can do to entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxChange {
    /// Makes them due now, without failures. What a dispatcher has in hand is due when its lease
    /// ends, so that two writes for one user are never on their way at once.
    Retry,
    /// Gives up on what is desired now.
    Discard,
}
