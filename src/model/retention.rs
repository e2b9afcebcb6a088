//! How long payloads and rows are kept, and what is left of a payload that is gone.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::event::EventType;
use super::operator::ActionRecord;
use super::time::Timestamp;
use super::user::UserId;

super::words::words! {
    /// Why a payload is not there any more.
    pub enum Departure {
        /// It was old.
        Pruned => "pruned",
        /// The person whose it was is gone, or somebody asked for it.
        Erased => "erased",
    }
}

/// What is left of a payload that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Remains {
    /// Why it is gone.
    pub why: Departure,
    /// Since when.
    pub at: Timestamp,
    /// The SHA-256 of the exact bytes, in hex: enough to tell whether a copy elsewhere is the same.
    pub sha256: String,
}

/// How long things are kept. `None`: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Payloads of finished events, counted from when they were received.
    pub payloads: Option<Duration>,
    /// Finished events themselves, counted in the same way, and attempts to tell Clerk.
    pub events: Option<Duration>,
    /// Payloads about a deleted person, counted from when the deletion was recorded here.
    pub deleted: Option<Duration>,
}

/// What one step of a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Events whose payload, or whose row, is gone now.
    pub events: u64,
    /// Whether there may be more.
    pub more: bool,
    /// The line in the record of what was done, if any was written for this sweep.
    pub recorded_as: Option<i64>,
}

/// What is overdue, if anything is: for whoever wants to know whether the sweeps run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// When the oldest payload of a finished event was received.
    pub oldest_payload: Option<Timestamp>,
    /// Unfinished events with a payload that were received before the time in question.
    pub unfinished: u64,
    /// When the earliest deletion was recorded whose payloads nobody has looked for yet.
    pub oldest_deletion: Option<Timestamp>,
}

/// What somebody wants erased, and what that comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erasable {
    /// The user, or anything else that events are filed under.
    pub subject: String,
    /// What the events are filed under that hang together with it: itself, payments, customers.
    pub filed_under: Vec<String>,
    /// Customers that are another living user's as well: what is filed under them is kept.
    pub shared: Vec<Shared>,
}

/// A customer of several users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Shared {
    /// Stripe's customer.
    pub customer: String,
    /// Who else has something to do with it.
    pub with: Vec<UserId>,
}

/// How many payloads of one type there are to erase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErasableType {
    /// The type.
    pub event_type: EventType,
    /// Events with a payload.
    pub events: u64,
    /// Those among them that are not finished: they can never be processed again afterwards.
    pub unfinished: u64,
}

/// What was erased, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Erasure {
    /// What it was asked for, each with what hangs together with it.
    pub subjects: Vec<Erasable>,
    /// The payloads, type by type.
    pub types: Vec<ErasableType>,
    /// The line in the record of what operators did; `None` if there was nothing to do.
    pub action: Option<ActionRecord>,
}
