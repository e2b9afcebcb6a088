//! What an operator can do about events that did not end by themselves.
//!
//! A dry run and its execution ask the same question of the database, and both are recorded in
//! `operator_actions` with the filter. NOT guaranteed: that an execution meets what a dry run before it
//! met, as events go on being processed.

use serde_json::json;

use crate::model::by_hand::{ChangedEvents, EventChange};
use crate::model::ledger::EventFilter;
use crate::model::operator::{Mode, Operator, OperatorAction};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// Why events are not given up.
#[derive(Debug, thiserror::Error)]
pub enum DiscardError {
    /// Nothing says which.
    #[error("say which events to give up on, or that all that did not end by themselves are meant")]
    Unlimited,
    /// The database cannot be used.
    #[error("the events cannot be given up now; what was done so far is on record")]
    Store(#[from] StoreError),
}

/// Gives up on events that failed, wait, are to be tried again or were put aside by a pause. What was
/// recorded of a payment stays; another delivery of the event has no effect any more. `all` says that
/// an empty filter is meant.
///
/// # Errors
///
/// When nothing says which events are meant, or the database cannot be used.
pub async fn discard(
    store: &dyn Store,
    filter: &EventFilter,
    all: bool,
    operator: Operator,
    mode: Mode,
    now: Timestamp,
) -> Result<ChangedEvents, DiscardError> {
    if *filter == EventFilter::default() && !all {
        return Err(DiscardError::Unlimited);
    }
    let action = action("events discard", filter, operator, mode);
    let changed = store.change_events(EventChange::Discard, filter, &action, now);
    Ok(changed.await?)
}

/// Makes events due now that are to be tried again later. The schedulers put them back onto the queue
/// within seconds; their number of attempts counts on.
///
/// # Errors
///
/// When the database cannot be used. What was done until then is on record.
pub async fn retry(
    store: &dyn Store,
    filter: &EventFilter,
    operator: Operator,
    mode: Mode,
    now: Timestamp,
) -> Result<ChangedEvents, StoreError> {
    let action = action("events retry", filter, operator, mode);
    let changed = store.change_events(EventChange::RetryNow, filter, &action, now);
    changed.await
}

fn action(
    action: &'static str,
    filter: &EventFilter,
    operator: Operator,
    mode: Mode,
) -> OperatorAction {
    OperatorAction {
        operator,
        action,
        target: json!(filter),
        mode,
    }
}
