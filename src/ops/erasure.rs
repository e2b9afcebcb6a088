//! What an operator can erase at once: the payloads of events about a person, or about anything else
//! that events are filed under.
//!
//! Guaranteed: the rows stay, with a hash of what went; what is done, or would have been, is told and
//! recorded in the same transaction, without anything that was in a payload. NOT guaranteed: that
//! nothing comes later. Events that arrive afterwards about somebody who was not deleted are kept.

use std::collections::BTreeSet;

use serde_json::json;

use crate::model::operator::{Mode, Operator, OperatorAction};
use crate::model::retention::Erasure;
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Users, or anything else that events are filed under: `user_…`, `cus_…`, `cs_…`.
    pub subjects: BTreeSet<String>,
    /// Who wants it.
    pub operator: Operator,
    /// Whether for real.
    pub mode: Mode,
}

/// Why nothing is known of an erasure.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The database cannot be used.
    #[error("nothing can be erased now")]
    Store(#[from] StoreError),
    /// They are gone, but may still stand in a log of the engine's.
    #[error(
        "the payloads are erased, but the database's log could not be cleared of them: the next sweep \
         tries that again"
    )]
    Traces(#[source] StoreError),
}

/// Erases payloads, finished or not.
///
/// # Errors
///
/// When the database cannot be used.
pub async fn erase(
    store: &dyn Store,
    request: Request,
    now: Timestamp,
) -> Result<Erasure, EraseError> {
    let action = OperatorAction {
        action: "events erase",
        target: json!({ "subjects": request.subjects }),
        operator: request.operator,
        mode: request.mode,
    };
    let subjects: Vec<String> = request.subjects.into_iter().collect();
    let erasure = store.erase(&subjects, &action, now).await?;
    if erasure
        .action
        .as_ref()
        .is_some_and(|action| !action.dry_run)
    {
        store.clear_traces().await.map_err(EraseError::Traces)?;
    }
    Ok(erasure)
}
