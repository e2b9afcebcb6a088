//! What would come of events if they were processed now.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::changes::Outcome;
use super::event::{Event, EventKey};
use super::state::EventState;

/// Events as the ledger keeps them, in the order in which they were received.
#[derive(Clone, Debug, Default)]
pub struct Recalled {
    /// The first of those that match and whose bytes are kept.
    pub events: Vec<RecalledEvent>,
    /// How many match and have their bytes.
    pub with_payload: u64,
    /// How many match and have none: they can never be processed again.
    pub without_payload: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct RecalledEvent {
    /// The event.
    pub event: Event,
    /// Where it stands.
    pub standing: Standing,
}

/// Where an event stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Standing {
    /// Its state.
    pub state: EventState,
    /// What processing came to.
    pub outcome: String,
}

/// What processing one event would come to, if nothing had become of it before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The event.
    pub key: EventKey,
    /// What it would come to.
    pub outcome: Outcome,
    /// The chain of causes, if it would fail.
    pub error: Option<String>,
}

/// What processing a number of events together would come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Previewed {
    /// For each event, in the order in which they were given.
    pub verdicts: Vec<Verdict>,
    /// What would not be as it is, by kind and id.
    pub entities: Vec<EntityPreview>,
    /// Other events that wait for a user and would not any more.
    pub released: Vec<EventKey>,
}

/// What the mirror tells of, and where: one kind for each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum EntityKind {
    /// A mirrored user.
    User,
    /// That a user was deleted.
    UserTombstone,
    /// A Checkout Session.
    CheckoutSession,
    /// A subscription.
    Subscription,
    /// An invoice.
    Invoice,
    /// A charge.
    Charge,
    /// A refund.
    Refund,
    /// A dispute.
    Dispute,
    /// Whose a customer of Stripe's is.
    Customer,
    /// What a user is entitled to.
    Entitlement,
    /// What Clerk's metadata of a user shall be.
    Metadata,
}

impl EntityKind {
    /// The word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::UserTombstone => "user_tombstone",
            Self::CheckoutSession => "checkout_session",
            Self::Subscription => "subscription",
            Self::Invoice => "invoice",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::Customer => "customer",
            Self::Entitlement => "entitlement",
            Self::Metadata => "metadata",
        }
    }
}

/// What would become of one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntityChange {
    /// It would come into being.
    Created,
    /// It would be another one.
    Changed,
    /// It would be gone.
    Removed,
}

/// How one entity would differ. When it was written, and by whose lease, is left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EntityPreview {
    /// What it is.
    pub entity: EntityKind,
    /// Which one: its key in its table.
    pub id: String,
    /// What would become of it.
    pub change: EntityChange,
    /// The columns that would differ, in the order of the table.
    pub columns: Vec<ColumnPreview>,
}

/// How one column would differ.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ColumnPreview {
    /// Its name.
    pub column: &'static str,
    /// What it holds; nothing where there is no row.
    pub before: Value,
    /// What it would hold.
    pub after: Value,
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for EntityKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
