//! The account of all events: accepted = sum of states + still queued (promise P5).

use std::collections::HashSet;

use serde::Serialize;

use crate::model::event::EventKey;
use crate::model::ledger::{StateCount, Waiting};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// Where all accepted events stand.
///
/// Queue and database are two files and are read one after the other; while events flow, an event
/// can be seen in both, in which case the database wins. Read the queue first, so that none is missed
/// in between.
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
    let known: HashSet<EventKey> = store
        .known_events(&waiting.events)
        .await?
        .into_iter()
        .collect();
    let only_queued = waiting
        .events
        .iter()
        .filter(|key| !known.contains(key))
        .count() as u64;
    let states = store.count_events().await?;
    let recorded = states.iter().map(|count| count.events).sum();
    Ok(Account {
        accepted: recorded + only_queued,
        recorded,
        deliveries: states.iter().map(|count| count.deliveries).sum(),
        states,
        queue: QueueAccount {
            messages: waiting.messages,
            events: only_queued,
            oldest_received_at: waiting.oldest,
        },
    })
}
