//! Payloads and rows that go, because they are old or because a person is gone.
//!
//! Actors: sweeps, any number at a time, which take small steps; operators, who erase at once; workers,
//! which go on recording events meanwhile.
//!
//! - **What is left of a payload is its row, its SHA-256, when it went and why**, written in the
//!   transaction in which it goes. A later delivery of the event does not bring the payload back.
//! - An unfinished event keeps its payload, however old it is: it needs it. Only erasure takes that
//!   as well; then the event can never be processed again, and an attempt that falls due fails it.
//! - **A person counts as erased only when nothing was found by a second look**, minutes after all
//!   that its events are filed under was written down. From then on a late event about it opens the
//!   matter again in the transaction that records the event. So no event slips in between.
//! - Each step is recorded in `operator_actions` in its own transaction, one line for each sweep.
//! - NOT promised: that bytes are gone from backups, replicas or a server's log, or from the pages of
//!   a Postgres table before its next vacuum.

use async_trait::async_trait;

use super::StoreError;
use crate::model::operator::OperatorAction;
use crate::model::retention::{Erasure, Overdue, Step};
use crate::model::time::Timestamp;

/// The part of the database's contract that is about letting go. See the module.
#[async_trait]
pub trait Retention {
    /// Prunes the payloads of finished events received before this time, the oldest first, `limit` at
    /// most. `recorded_as` is what the step before in the same sweep has answered.
    async fn prune_payloads(
        &self,
        before: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError>;

    /// Erases payloads about persons whose deletion was recorded at `deleted_by` or earlier, with
    /// those of their payments, `limit` at most.
    async fn erase_deleted(
        &self,
        deleted_by: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError>;

    /// Deletes finished events received before this time with their attempts, and attempts to tell
    /// Clerk that are older, `limit` at most of each.
    async fn delete_events(
        &self,
        before: Timestamp,
        limit: u32,
        action: &OperatorAction,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Step, StoreError>;

    /// Erases the payloads of all events about these subjects, finished or not, or counts them if it
    /// is a dry run, and records the action if there is something to erase: all in one transaction.
    /// Of a user all that hangs together with them goes, unless it is another living user's as well.
    async fn erase(
        &self,
        subjects: &[String],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Erasure, StoreError>;

    /// What is oldest of what may go; `before` is the time in question for unfinished events.
    async fn overdue(&self, before: Timestamp) -> Result<Overdue, StoreError>;

    /// Lets the engine clear what went from the places where it still has it, as far as it can while
    /// others work. Best effort; to be called when a sweep has done something.
    async fn clear_traces(&self) -> Result<(), StoreError>;
}
