//! What an operator can do to the metadata that Clerk should hold.
//!
//! A dry run and its execution ask the same question of the database, and both are recorded in
//! `operator_actions`. What is made due is sent by the dispatchers, at their own pace.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::operator::{ActionRecord, Mode, Operator, OperatorAction};
use crate::model::outbox::{DeliveryState, OutboxChange, OutboxCount, OutboxEntry, OutboxFilter};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::store::{Store, StoreError};

/// How many examples a plan shows.
const EXAMPLES: u32 = 20;

/// What [`retry`] is asked to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// These users, whatever state they are in: delivered ones are sent again, those whom Clerk does
    /// not know are asked about again.
    Users(Vec<UserId>),
    /// All in this state.
    State(RetriedState),
    /// All that wait or are parked.
    All,
}

/// The states that can be retried as a whole. To send again what was delivered, users have to be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetriedState {
    /// What waits for its next attempt.
    Pending,
    /// What Clerk refuses.
    Parked,
    /// What is for users whom Clerk did not know: all of them, if the key was that of another instance.
    UserGone,
    /// What someone gave up on.
    Discarded,
}

impl RetriedState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Parked, Self::UserGone, Self::Discarded];

    /// The state of the entries.
    pub const fn state(self) -> DeliveryState {
        match self {
            Self::Pending => DeliveryState::Pending,
            Self::Parked => DeliveryState::Parked,
            Self::UserGone => DeliveryState::UserGone,
            Self::Discarded => DeliveryState::Discarded,
        }
    }
}

/// What was found, and what was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Done {
    /// The line in the record of what operators did.
    pub action: ActionRecord,
    /// Some of the entries, as they were before.
    pub examples: Vec<OutboxEntry>,
}

/// Makes entries due now: parked ones, and those of users whom Clerk did not know, as well.
///
/// # Errors
///
/// When the database cannot be used. Then nothing was done.
pub async fn retry(
    store: &dyn Store,
    what: Retried,
    operator: Operator,
    mode: Mode,
    now: Timestamp,
) -> Result<Done, StoreError> {
    let filter = match what {
        Retried::Users(users) => OutboxFilter {
            users,
            states: Vec::new(),
        },
        Retried::State(state) => in_states(vec![state.state()]),
        Retried::All => in_states(vec![DeliveryState::Pending, DeliveryState::Parked]),
    };
    let action = OperatorAction {
        operator,
        action: "outbox retry",
        target: serde_json::json!(filter),
        mode,
    };
    change(store, OutboxChange::Retry, &filter, &action, now).await
}

/// Gives up on what waits, or is parked, for these users. A change of what they should have is
/// delivered all the same.
///
/// # Errors
///
/// When the database cannot be used. Then nothing was done.
pub async fn discard(
    store: &dyn Store,
    users: Vec<UserId>,
    operator: Operator,
    mode: Mode,
    now: Timestamp,
) -> Result<Done, StoreError> {
    let filter = OutboxFilter {
        users,
        ..in_states(vec![DeliveryState::Pending, DeliveryState::Parked])
    };
    let action = OperatorAction {
        operator,
        action: "outbox discard",
        target: serde_json::json!(filter),
        mode,
    };
    change(store, OutboxChange::Discard, &filter, &action, now).await
}

fn in_states(states: Vec<DeliveryState>) -> OutboxFilter {
    OutboxFilter {
        users: Vec::new(),
        states,
    }
}

async fn change(
    store: &dyn Store,
    change: OutboxChange,
    filter: &OutboxFilter,
    action: &OperatorAction,
    now: Timestamp,
) -> Result<Done, StoreError> {
    let examples = store.list_outbox(filter, EXAMPLES).await?;
    let action = store.change_outbox(change, filter, action, now).await?;
    Ok(Done { action, examples })
}

/// How much there is in each state, and since when the longest undelivered one has been desired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// By state.
    pub states: Vec<OutboxCount>,
    /// Since when the longest of those that wait or are parked has been desired.
    pub oldest_undelivered: Option<Timestamp>,
}

/// Adds up the outbox.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn summary(store: &dyn Store) -> Result<Summary, StoreError> {
    let states = store.count_outbox().await?;
    let waits = [DeliveryState::Pending, DeliveryState::Parked];
    let undelivered = states.iter().filter(|count| waits.contains(&count.state));
    let oldest_undelivered = undelivered.map(|count| count.oldest).min();
    Ok(Summary {
        states,
        oldest_undelivered,
    })
}
