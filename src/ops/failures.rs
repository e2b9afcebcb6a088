//! What an operator can do about failures: look at them in groups, and say where one stands.
//!
//! A decision is about the group, not about its events: these are replayed or discarded by themselves.
//! Dry runs and executions are recorded in `operator_actions`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::model::failure::{FailureChange, FailureGroup, GroupState};
use crate::model::ledger::{EventFilter, EventSummary};
use crate::model::operator::{ActionRecord, Mode, Operator, OperatorAction};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// How many events [`find`] shows.
const NEWEST: u32 = 10;

/// A group, and events that are in it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FailureReport {
    /// The group.
    #[serde(flatten)]
    pub group: FailureGroup,
    /// The newest of its events, whatever their state is.
    pub newest: Vec<EventSummary>,
}

/// What was found, and what was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Done {
    /// The line in the record of what operators did.
    pub action: ActionRecord,
    /// The groups that were named and are known, as they were before.
    pub groups: Vec<FailureGroup>,
    /// Those that were named and are not known.
    pub unknown: Vec<String>,
}

/// Groups in these states (none named: those that are not resolved), the most events that fail now
/// first, `limit` at most.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn list(
    store: &dyn Store,
    states: &[GroupState],
    limit: u32,
) -> Result<Vec<FailureGroup>, StoreError> {
    const UNRESOLVED: [GroupState; 2] = [GroupState::Open, GroupState::Acknowledged];
    let states = if states.is_empty() {
        &UNRESOLVED
    } else {
        states
    };
    store.list_failures(states, limit).await
}

/// One group with its newest events; `None` if there is none.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn find(
    store: &dyn Store,
    fingerprint: &str,
) -> Result<Option<FailureReport>, StoreError> {
    let found = store.find_failures(&[fingerprint.to_owned()]).await?;
    let Some(group) = found.into_iter().next() else {
        return Ok(None);
    };
    let filter = EventFilter {
        fingerprint: Some(fingerprint.to_owned()),
        ..EventFilter::default()
    };
    let newest = store.list_events(&filter, NEWEST).await?;
    Ok(Some(FailureReport { group, newest }))
}

/// Says of these groups where they stand. Those that are in no state for it are left as they are.
///
/// # Errors
///
/// When the database cannot be used. Then nothing was done.
pub async fn change(
    store: &dyn Store,
    change: FailureChange,
    mut fingerprints: Vec<String>,
    operator: Operator,
    mode: Mode,
    now: Timestamp,
) -> Result<Done, StoreError> {
    fingerprints.sort_unstable();
    fingerprints.dedup();
    let groups = store.find_failures(&fingerprints).await?;
    let action = OperatorAction {
        operator,
        action: match change {
            FailureChange::Acknowledge => "failures acknowledge",
            FailureChange::Resolve => "failures resolve",
            FailureChange::Reopen => "failures reopen",
        },
        target: json!({ "fingerprint": fingerprints }),
        mode,
    };
    let action = store
        .change_failures(change, &fingerprints, &action, now)
        .await?;
    let known = |fingerprint: &String| groups.iter().any(|it| it.fingerprint == *fingerprint);
    fingerprints.retain(|fingerprint| !known(fingerprint));
    Ok(Done {
        action,
        groups,
        unknown: fingerprints,
    })
}
