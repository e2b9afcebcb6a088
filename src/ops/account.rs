//! The account of all events: accepted = sum of states + still queued (promise P5).

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::ledger::{
    AtBroker, EventCounts, IgnoredCount, StateCount, Waiting, WaitingCount,
};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// Where all accepted events stand.
///
/// Read the queue first: an event that leaves it meanwhile is in the database by then. With the
/// embedded queue an event that is in both counts as the database's, so the sum is exact while events
/// flow. A broker's messages can only be counted: each counts as one event, a duplicate too, and those
/// that a worker has in hand are not seen. There the sum is exact once the queue is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    /// Events: those in the ledger and those that only the queue holds.
    pub accepted: u64,
    /// Distinct events in the ledger.
    pub recorded: u64,
    /// Deliveries taken from the queue, duplicates included. A crash between a commit and its
    /// acknowledgement counts a delivery twice.
    pub deliveries: u64,
    /// By source and state.
    pub states: Vec<StateCount>,
    /// Those that were ignored, by source and reason.
    pub ignored: Vec<IgnoredCount>,
    /// Those that wait for the user of their payment to be known.
    pub waiting: WaitingCount,
    /// What waits in the queue.
    pub queue: QueueAccount,
}

/// What waits in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueAccount {
    /// Messages, duplicates included.
    pub messages: u64,
    /// Events that the ledger does not know yet.
    pub events: u64,
    /// When the oldest message was received; not known of a broker's.
    pub oldest_received_at: Option<Timestamp>,
    /// Where there is a broker: how many of the messages are there. The others are in the spool.
    pub at_broker: Option<u64>,
    /// Why the broker could not be asked; what it holds is missing then.
    pub problem: Option<String>,
}

/// Adds up what `waiting` and the ledger hold.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn account(store: &dyn Store, waiting: Waiting) -> Result<Account, StoreError> {
    let EventCounts {
        states,
        ignored,
        waiting: for_users,
        unknown,
    } = store.count_events(&waiting.events).await?;
    let recorded = states.iter().map(|count| count.events).sum();
    let (at_broker, problem) = match waiting.at_broker {
        None => (None, None),
        Some(AtBroker::Ready { work, dead }) => (Some(work + dead), None),
        Some(AtBroker::Unknown(why)) => (None, Some(why)),
    };
    let elsewhere = at_broker.unwrap_or_default();
    Ok(Account {
        accepted: recorded + unknown + elsewhere,
        recorded,
        deliveries: states.iter().map(|count| count.deliveries).sum(),
        states,
        ignored,
        waiting: for_users,
        queue: QueueAccount {
            messages: waiting.messages + elsewhere,
            events: unknown + elsewhere,
            oldest_received_at: waiting.oldest,
            at_broker,
            problem,
        },
    })
}
