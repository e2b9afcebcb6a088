//! What people do to many events at once.

use async_trait::async_trait;

use super::StoreError;
use crate::model::by_hand::{ChangedEvents, EventChange};
use crate::model::ledger::EventFilter;
use crate::model::operator::OperatorAction;
use crate::model::time::Timestamp;

/// How many events are changed in one transaction.
pub(super) const CHUNK: i64 = 5000;
/// How many events are shown as examples.
pub(super) const EXAMPLES: u32 = 5;

/// Changing what did not end by itself.
#[async_trait]
pub trait EventChanges {
    /// Changes all events that match and that this can be done to, or counts them if it is a dry run,
    /// and records the action.
    ///
    /// A few thousand events at a time, so that workers go on between. The record is written with the
    /// first of them and counts on with each, in the same transaction: it is true at every moment, and
    /// stays true if this is cut short.
    ///
    /// # Errors
    ///
    /// When the database cannot be used. What was done until then stays, and is on record.
    async fn change_events(
        &self,
        change: EventChange,
        filter: &EventFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ChangedEvents, StoreError>;
}
