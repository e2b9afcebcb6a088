//! What an event means, as data: what handlers produce and the store applies.

use std::fmt;

use sha2::{Digest, Sha256};

use super::event::{Event, EventKey, EventType};
use super::payment::Fact;
use super::state::EventState;
use super::time::Timestamp;
use super::user::{User, UserId};

/// What one event asks of the mirror. Deriving it needs no database and no clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Nothing, on purpose.
    Ignore(IgnoreReason),
    /// The user looked like this at some time.
    MirrorUser(Box<User>),
    /// The user is gone for good.
    DeleteUser {
        /// Who.
        id: UserId,
        /// When the provider says that it happened.
        deleted_at: Timestamp,
    },
    /// Something became known about a payment.
    RecordPayment(Box<Fact>),
}

/// Why nothing is done for an authentic event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// No handler acts on this type.
    TypeNotHandled,
    /// A notification of Stripe's API v2, which carries no object.
    ThinEvent,
    /// A deletion that does not say of whom (Clerk's schema leaves `id` optional).
    DeletionWithoutId,
    /// A customer who names no user: there is nothing to link.
    CustomerWithoutUser,
    /// It is about test data, and its source is for live events.
    TestEvent,
    /// It is about real people and money, and its source is for test events.
    LiveEvent,
}

/// Why an event cannot be applied, in a form that can be stored, grouped and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable code, such as `payload_invalid`.
    pub kind: &'static str,
    /// The whole chain of causes in one line. Never holds payload values.
    pub message: String,
    /// The same for every event that fails in the same way: made of kind, place and type, not of
    /// ids or times.
    pub fingerprint: String,
    /// Whether the queue has given the event up: what else would be done with it must not put it back
    /// there.
    pub given_up: bool,
}

impl Failure {
    /// A failure of events of one type at one place.
    ///
    /// `place` tells where it happened in words that are the same each time, such as
    /// `data.updated_at`; `message` is for people.
    pub fn new(kind: &'static str, place: &str, event_type: &EventType, message: String) -> Self {
        let mut digest = Sha256::new();
        for part in [kind, place, event_type.as_str()] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        Self {
            kind,
            message,
            fingerprint: hex::encode(&digest.finalize()[..6]),
            given_up: false,
        }
    }

    /// The same of an event that the queue has given up.
    #[must_use]
    pub fn given_up(self) -> Self {
        Self {
            given_up: true,
            ..self
        }
    }
}

/// An event together with what is to be done about it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The event as it came from the queue.
    pub event: Event,
    /// What it is about: `user_…`, `cs_…`; if that could be told.
    pub subject: Option<String>,
    /// Whether the ledger may keep the body. Not where it carries one-time codes, such as Clerk's
    /// `email.created` and `sms.created`.
    pub keep_payload: bool,
    /// What to write.
    pub decision: Decision,
}

/// The verdict on an event before it meets the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write this.
    Apply(Changes),
    /// Record that it cannot be done.
    Fail(Failure),
    /// Record that it cannot be done now, and try again later, as [`super::retry`] says; in the end
    /// it has failed all the same.
    Retry(Failure),
}

/// What became of one delivery of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which event.
    pub key: EventKey,
    /// Its state after the commit.
    pub state: EventState,
    /// What was found or done.
    pub outcome: Outcome,
}

/// What processing an event came to. Stored in the ledger's `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The mirror now shows this state of the user.
    UserMirrored,
    /// The mirror already showed exactly this state.
    UserUnchanged,
    /// The mirror shows a newer state; this one is history.
    UserStale,
    /// The user was deleted before; nothing brings a deleted user back.
    UserGone,
    /// The user was removed from the mirror.
    UserDeleted,
    /// The fact was recorded and attributed to a user.
    PaymentRecorded,
    /// The fact was recorded; who paid is not known yet.
    PaymentUnattributed,
    /// Nothing was done, on purpose.
    Ignored(IgnoreReason),
    /// It could not be done; the kind of failure.
    Failed(&'static str),
    /// It could not be done yet.
    Retrying {
        /// The kind of failure.
        kind: &'static str,
        /// When it will be tried again.
        at: Timestamp,
    },
    /// Nothing yet: its source is paused.
    Parked,
    /// This event was settled by an earlier delivery.
    Duplicate,
}

impl Outcome {
    /// The word for a test event at a live source.
    pub const TEST_EVENT: &str = "test_event";
    /// The word for a live event at a test source.
    pub const LIVE_EVENT: &str = "live_event";

    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserMirrored => "user_mirrored",
            Self::UserUnchanged => "user_unchanged",
            Self::UserStale => "user_stale",
            Self::UserGone => "user_gone",
            Self::UserDeleted => "user_deleted",
            Self::PaymentRecorded => "payment_recorded",
            Self::PaymentUnattributed => "payment_unattributed",
            Self::Ignored(IgnoreReason::TypeNotHandled) => "type_not_handled",
            Self::Ignored(IgnoreReason::ThinEvent) => "thin_event",
            Self::Ignored(IgnoreReason::DeletionWithoutId) => "deletion_without_id",
            Self::Ignored(IgnoreReason::CustomerWithoutUser) => "customer_without_user",
            Self::Ignored(IgnoreReason::TestEvent) => Self::TEST_EVENT,
            Self::Ignored(IgnoreReason::LiveEvent) => Self::LIVE_EVENT,
            Self::Failed(kind) | Self::Retrying { kind, .. } => kind,
            Self::Parked => "paused",
            Self::Duplicate => "duplicate",
        }
    }

    /// When the event will be tried again, if it will by itself.
    pub const fn next_attempt_at(self) -> Option<Timestamp> {
        match self {
            Self::Retrying { at, .. } => Some(at),
            _ => None,
        }
    }

    /// The state that an event with this outcome is in. A duplicate leaves the state as it was.
    pub const fn state(self) -> Option<EventState> {
        match self {
            Self::UserMirrored
            | Self::UserUnchanged
            | Self::UserStale
            | Self::UserGone
            | Self::UserDeleted
            | Self::PaymentRecorded => Some(EventState::Applied),
            Self::PaymentUnattributed => Some(EventState::Waiting),
            Self::Ignored(_) => Some(EventState::Ignored),
            Self::Failed(_) => Some(EventState::Failed),
            Self::Retrying { .. } => Some(EventState::Retrying),
            Self::Parked => Some(EventState::Queued),
            Self::Duplicate => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
