//! Everything that happened to one person's payments, or to one user, in the order of time.

use serde::Serialize;
use utoipa::ToSchema;

use super::event::{EventKey, EventType};
use super::ledger::{Attempt, EventSummary};
use super::operator::ActionRecord;
use super::outbox::OutboxAttempt;
use super::time::Timestamp;
use super::user::UserId;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "what", content = "detail", rename_all = "snake_case")]
pub enum Happening {
    /// An event was received; how it stands now.
    Event(EventSummary),
    /// An attempt at an event was made that was not a first one that succeeded.
    Attempt {
        /// Which event.
        #[serde(flatten)]
        key: EventKey,
        /// What it says.
        event_type: EventType,
        /// What came of it.
        attempt: Attempt,
    },
    /// Clerk was told, or was to be.
    Delivery {
        /// Of which user.
        user_id: UserId,
        /// What came of it.
        attempt: OutboxAttempt,
    },
    /// Somebody did something about it by hand, or looked what that would do.
    Action(ActionRecord),
}

impl Happening {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.received_at,
            Self::Attempt { attempt, .. } => attempt.at,
            Self::Delivery { attempt, .. } => attempt.at,
            Self::Action(action) => action.at,
        }
    }

    /// What comes first where several things happen in one millisecond: cause before effect.
    fn rank(&self) -> u8 {
        match self {
            Self::Event(_) => 0,
            Self::Attempt { .. } => 1,
            Self::Delivery { .. } => 2,
            Self::Action(_) => 3,
        }
    }
}

/// Everything that is known to hang together with a subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Timeline {
    /// Whose payments these are; empty if that is not known.
    pub users: Vec<UserId>,
    /// All ids that it is about: the users', and Stripe's.
    pub subjects: Vec<String>,
    /// What happened, oldest first.
    pub entries: Vec<Happening>,
    /// Whether older entries were left out.
    pub is_cut: bool,
}

impl Timeline {
    /// Brings happenings in the order of time; of more than `limit` the newest stay.
    pub(crate) fn keep_newest(&mut self, limit: usize) {
        self.entries.sort_by_key(|entry| (entry.at(), entry.rank()));
        let surplus = self.entries.len().saturating_sub(limit);
        self.entries.drain(..surplus);
        self.is_cut |= surplus > 0;
    }
}
