//! The local database: the mirror, the payment facts, the ledger and the outbox.
//!
//! - **If [`Store::apply`] returns `Ok`, the effects of the whole batch and its ledger rows are
//!   committed together**, in one transaction; if it returns `Err`, none of them is.
//! - Applying an event again changes nothing but its counters. Any order of the same events gives
//!   the same mirror (see [`crate::model`] for the rules).
//! - A *data* error belongs to one event: it alone is recorded as `failed`, its neighbours commit.
//!   An error of the *infrastructure* belongs to none: it is returned, and nothing is charged.
//! - NOT promised: that two readers see the same state at the same time, or that `synced_at` and
//!   other "when we wrote it" columns are the same after another order of arrival.
//!
//! Engines: [`sqlite`] for one machine, [`postgres`] for many.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::changes::{Applied, Planned};
use crate::model::event::EventKey;
use crate::model::ledger::{EventCounts, EventFilter, EventRecord, EventSummary, UserReport};
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::outbox::{
    DeliveryOutcome, DeliveryState, OutboxChange, OutboxCount, OutboxEntry, OutboxFilter,
    OutboxLease, OutboxRecord, Recipients,
};
use crate::model::payment::{Attributed, Ownership, WaitingPayment};
use crate::model::retry::RetryLease;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

mod action_log;
mod apply;
mod attribute;
mod erasure;
mod event_changes;
mod facts;
mod failures;
mod findings;
mod fold;
mod freshness;
mod migrate;
mod pauses;
mod payments;
pub mod postgres;
mod preview;
mod previews;
mod problem;
mod related;
mod replays;
mod retention;
mod shelf;
pub mod sqlite;
mod standing;
mod story;
mod tables;

pub use self::action_log::ActionLog;
pub use self::event_changes::EventChanges;
pub use self::failures::Failures;
pub use self::findings::Findings;
pub use self::freshness::Freshness;
pub use self::pauses::Pauses;
pub use self::previews::Previews;
pub use self::replays::{Replays, STALLED_AFTER};
pub use self::retention::Retention;

/// The database behind worker, dispatcher and operators. One contract, whichever engine.
#[async_trait]
pub trait Store:
    ActionLog
    + EventChanges
    + Failures
    + Findings
    + Freshness
    + Pauses
    + Previews
    + Replays
    + Retention
    + Debug
    + Send
    + Sync
{
    /// Commits what a batch asks for, and what became of each event, in one transaction. The answer
    /// has one entry for each entry of `batch`, in the same order.
    ///
    /// # Errors
    ///
    /// When the database cannot be used now; then nothing was written.
    async fn apply(&self, batch: &[Planned], now: Timestamp) -> Result<Vec<Applied>, StoreError>;

    /// Events that match, newest first, `limit` at most.
    async fn list_events(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Vec<EventSummary>, StoreError> {
        self.page_events(filter, None, limit).await
    }

    /// One event in full; `None` if the ledger does not know it.
    async fn find_event(&self, key: &EventKey) -> Result<Option<EventRecord>, StoreError>;

    /// How many events there are by source and state, why the ignored ones were, since when payments
    /// wait, and how many of `queued` are not among them: all of the same moment, so that an event on
    /// its way into the ledger is counted once.
    async fn count_events(&self, queued: &[EventKey]) -> Result<EventCounts, StoreError>;

    /// Everything known of one user; `None` if nothing is.
    async fn find_user(&self, id: &UserId) -> Result<Option<UserReport>, StoreError>;

    /// Whose a Checkout Session or a subscription is; `None` if nothing is known of it.
    async fn find_ownership(&self, id: &str) -> Result<Option<Ownership>, StoreError>;

    /// Checkout Sessions and subscriptions with events that wait for their user to be known, the
    /// longest waiting first, `limit` at most.
    async fn waiting_payments(&self, limit: u32) -> Result<Vec<WaitingPayment>, StoreError>;

    /// Gives a Checkout Session or a subscription to a user, with all that follows from it, if it is
    /// `from`'s until then (`None`: nobody's). Holds over what its events say, those to come included.
    /// If it is a dry run, it is undone again. Records the action if it can be done: all in one
    /// transaction.
    async fn attribute(
        &self,
        id: &str,
        user: &UserId,
        from: Option<&UserId>,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Attributed, StoreError>;

    /// Derives those entitlements anew that the policy of this process may see otherwise than the
    /// one that wrote them; answers how many it looked at.
    async fn reassess(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Leases up to `limit` events whose next attempt is due at `now`, longest due first; they fall
    /// due again at `until`, unless they are reported as queued before. No two callers lease the same.
    async fn lease_retries(
        &self,
        limit: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<RetryLease>, StoreError>;

    /// Records that these events are back on the queue. Ignored for an event that has been processed
    /// since, or whose lease was lost.
    async fn retries_queued(&self, leases: &[RetryLease]) -> Result<(), StoreError>;

    /// When the next attempt at an event falls due, leases included; `None` if none is planned.
    async fn next_retry_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Leases up to `limit` entries of these users that are due at `now`, until `until`. A leased entry counts as
    /// of unknown state at Clerk until it is settled.
    async fn lease_outbox(
        &self,
        of: &Recipients,
        limit: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<OutboxLease>, StoreError>;

    /// Records how a delivery ended. If the desired state changed meanwhile, the entry stays due; if
    /// Clerk does not know a user who was mirrored meanwhile, it is tried again. If the lease was lost,
    /// and with it the order of two writes, what is desired is sent once more, after any lease that
    /// holds.
    async fn settle_outbox(
        &self,
        lease: &OutboxLease,
        outcome: &DeliveryOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// When the next entry of the outbox falls due, leases included; `None` if nothing waits.
    async fn next_outbox_due(&self, of: &Recipients) -> Result<Option<Timestamp>, StoreError>;

    /// Entries of the outbox that match, the longest desired first, `limit` at most.
    async fn list_outbox(
        &self,
        filter: &OutboxFilter,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError>;

    /// The same of those that wait, or that someone has to look at.
    async fn undelivered(&self, limit: u32) -> Result<Vec<OutboxEntry>, StoreError> {
        let filter = OutboxFilter {
            states: vec![DeliveryState::Pending, DeliveryState::Parked],
            ..OutboxFilter::default()
        };
        self.list_outbox(&filter, limit).await
    }

    /// How many entries of the outbox there are in each state that any is in.
    async fn count_outbox(&self) -> Result<Vec<OutboxCount>, StoreError>;

    /// One user's entry with its latest attempts, `attempts` at most; `None` if there is none.
    async fn find_outbox(
        &self,
        user: &UserId,
        attempts: u32,
    ) -> Result<Option<OutboxRecord>, StoreError>;

    /// Changes all entries that match, or counts them if it is a dry run, and records the action: all
    /// in one transaction.
    async fn change_outbox(
        &self,
        change: OutboxChange,
        filter: &OutboxFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError>;

    /// What operators have asked for, newest first, `limit` at most.
    async fn operator_actions(&self, limit: u32) -> Result<Vec<ActionRecord>, StoreError>;

    /// Proves that the database answers now, and can be written to.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Brings the schema up to date; answers the migrations it applied, by name.
    async fn migrate(&self) -> Result<Vec<String>, StoreError>;

    /// Migrations that are not applied yet, by name.
    async fn pending_migrations(&self) -> Result<Vec<String>, StoreError>;
}

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be used now; it may be later.
    #[error("the database could not {action}")]
    Unavailable {
        /// What was being done, as in "could not …".
        action: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database server does not let this user in, or has no such database. Waiting does not help.
    #[error("the database server refuses the connection")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The user may not create tables there. Waiting does not help.
    #[error("the database's user may not create tables: make it the owner of the database")]
    Forbidden(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored value is not what this program writes.
    #[error("{table}.{column} of {key} holds a value that this program does not write")]
    Inconsistent {
        /// Where.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// Which row.
        key: String,
    },
    /// The schema is not the one this program knows.
    #[error("the schema of the database does not fit this version")]
    Schema(#[source] Box<dyn std::error::Error + Send + Sync>),
}
