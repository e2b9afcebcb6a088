//! The account of all events: accepted = sum of states + still queued (promise P5).

use serde::Serialize;

use crate::model::ledger::{EventCounts, StateCount, Waiting};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// Where all accepted events stand.
///
/// Queue and database are two files. Read the queue first: an event that leaves it meanwhile is in the
/// database by then, and one that is in both counts as the database's. So the sum is exact while
/// events flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Distinct events: those in the ledger and those that only the queue holds.
    pub accepted: u64,
    /// Distinct events in the ledger.
    pub recorded: u64,
    /// Deliveries taken from the queue, duplicates included. A crash between a commit and its
    /// acknowledgement counts a delivery twice.
    pub deliveries: u64,
    /// By source and state.
    pub states: Vec<StateCount>,
    /// What waits in the queue.
    pub queue: QueueAccount,
}

/// What waits in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueAccount {
    /// Messages, duplicates included.
    pub messages: u64,
    /// Distinct events that the ledger does not know yet.
    pub events: u64,
    /// When the oldest message was received.
    pub oldest_received_at: Option<Timestamp>,
}

/// Adds up what `waiting` and the ledger hold.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn account(store: &dyn Store, waiting: Waiting) -> Result<Account, StoreError> {
    let EventCounts { states, unknown } = store.count_events(&waiting.events).await?;
    let recorded = states.iter().map(|count| count.events).sum();
    Ok(Account {
        accepted: recorded + unknown,
        recorded,
        deliveries: states.iter().map(|count| count.deliveries).sum(),
        states,
        queue: QueueAccount {
            messages: waiting.messages,
            events: unknown,
            oldest_received_at: waiting.oldest,
        },
    })
}
