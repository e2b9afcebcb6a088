//! The ledger as it is read: filters, listings, one event in full, and the account of all.

use serde::Serialize;
use utoipa::ToSchema;

use super::entitlement::Entitlement;
use super::entitlement::purchase::Purchase;
use super::event::{EventId, EventKey, EventType};
use super::headers::KeptHeaders;
use super::outbox::OutboxEntry;
use super::payment::{CustomerLink, Facts};
use super::retention::Remains;
use super::source::SourceName;
use super::state::EventState;
use super::time::Timestamp;
use super::user::UserId;

/// Which events are meant. Everything that is set must hold; an empty filter is all events. As JSON it
/// has what is set, by the names of the command's options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventFilter {
    /// In one of these states; empty: in any.
    #[serde(rename = "state", skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<EventState>,
    /// From this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// Of a type that matches this pattern; `*` stands for any text, `?` for any character.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// About this subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Received at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Received before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// With one of these ids; empty: with any.
    #[serde(rename = "id", skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<EventId>,
    /// Failing in this way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// With this text in the last error, letters of either case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventSummary {
    /// Its identity.
    #[serde(flatten)]
    pub key: EventKey,
    /// What happened.
    pub event_type: EventType,
    /// What it is about.
    pub subject: Option<String>,
    /// Where it stands.
    pub state: EventState,
    /// What processing came to.
    pub outcome: String,
    /// How often a delivery of it was taken from the queue.
    pub deliveries: u64,
    /// How often it was processed.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Groups failures of the same kind.
    pub fingerprint: Option<String>,
    /// When the first recorded delivery was received.
    pub received_at: Timestamp,
    /// When its effect was committed.
    pub applied_at: Option<Timestamp>,
    /// When it will be tried again.
    pub next_attempt_at: Option<Timestamp>,
}

/// A place in a listing: that of an event, which need not be listed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// When the event was received.
    pub received_at: Timestamp,
    /// Which event.
    pub key: EventKey,
}

/// One recorded attempt. A first attempt that succeeds leaves no row here: the ledger row says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attempt {
    /// Counted from 1.
    pub attempt: u32,
    /// When it was made.
    pub at: Timestamp,
    /// Why the event was on the queue.
    pub trigger: String,
    /// The state it led to.
    pub state: EventState,
    /// What it came to.
    pub outcome: String,
    /// The chain of causes, if it failed.
    pub error: Option<String>,
}

/// One event in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// What the listing shows.
    pub summary: EventSummary,
    /// Attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What is kept of the headers of the first recorded delivery.
    pub headers: KeptHeaders,
    /// The exact bytes whose signature was checked; `None` where they must not be kept, or are gone.
    pub payload: Option<Vec<u8>>,
    /// What is left of the payload if it was there once and is gone.
    pub remains: Option<Remains>,
}

/// How many events of one source are in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StateCount {
    /// The source.
    pub source: SourceName,
    /// The state.
    pub state: EventState,
    /// Distinct events.
    pub events: u64,
    /// Deliveries of them taken from the queue, duplicates included.
    pub deliveries: u64,
}

/// How many events of one source were ignored for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IgnoredCount {
    /// The source.
    pub source: SourceName,
    /// The reason: the word in the ledger.
    pub outcome: String,
    /// Distinct events.
    pub events: u64,
}

/// The events that wait for the user of their payment to be known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitingCount {
    /// What they are about: payments, and the customers of subscriptions.
    pub payments: u64,
    /// The events.
    pub events: u64,
    /// When the oldest of them was received.
    pub oldest_received_at: Option<Timestamp>,
}

/// All events at one moment, as the ledger sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Those it holds.
    pub states: Vec<StateCount>,
    /// Why the ignored ones among them were.
    pub ignored: Vec<IgnoredCount>,
    /// Those among them that wait.
    pub waiting: WaitingCount,
    /// How many of the events that it was asked about it does not hold.
    pub unknown: u64,
}

/// What the queue holds, seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages: deliveries of events, duplicates included.
    pub messages: u64,
    /// Those among them that the queue gave up on, and nobody has recorded yet.
    pub dead: u64,
    /// What they take in the queue, roughly.
    pub bytes: u64,
    /// When the oldest of them was received.
    pub oldest: Option<Timestamp>,
    /// The distinct events among them.
    pub events: Vec<EventKey>,
    /// What is at the broker, where there is one: then the rest is what the spool of this machine
    /// holds.
    pub at_broker: Option<AtBroker>,
}

/// What a broker holds. It does not tell one message from another without handing them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtBroker {
    /// Messages that no worker has in hand: those to be worked, and those that were given up on.
    Ready {
        /// To be worked.
        work: u64,
        /// Given up on, and not recorded yet.
        dead: u64,
    },
    /// It could not be asked: why, in one line.
    Unknown(String),
}

/// Everything the mirror knows of one user, for people.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct UserReport {
    /// Clerk's id.
    pub id: UserId,
    /// When the user was deleted, if so; then nothing personal is left.
    pub deleted_at: Option<Timestamp>,
    /// The mirrored user; `None` if none was received, or it was deleted.
    pub user: Option<MirroredUser>,
    /// Facts attributed to the user.
    #[serde(flatten)]
    pub facts: Facts,
    /// Whose the customers are that they name: not always this user's.
    pub customer_links: Vec<CustomerLink>,
    /// What they come to, purchase by purchase, oldest first.
    pub purchases: Vec<Purchase>,
    /// The verdict and its reason; `None` if there are no facts.
    pub entitlement: Option<Entitlement>,
    /// Where the verdict has been delivered.
    pub outbox: Option<OutboxEntry>,
}

/// The columns of `users` that identify a person to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MirroredUser {
    /// The application's own id.
    pub external_id: Option<String>,
    /// The primary e-mail address.
    pub email: Option<String>,
    /// Whether it is verified.
    pub email_verified: bool,
    /// The primary phone number.
    pub phone: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// Banned by an administrator.
    pub banned: bool,
    /// Locked out.
    pub locked: bool,
    /// When the user was created at Clerk.
    pub created_at: Option<Timestamp>,
    /// When the user was last changed at Clerk.
    pub updated_at: Timestamp,
    /// Which state of the user this is.
    pub revision: String,
    /// When the mirror was last written.
    pub synced_at: Timestamp,
    /// Which source told of this state; `None` if it was mirrored before that was recorded.
    pub source: Option<SourceName>,
}
