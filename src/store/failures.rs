//! Failures in groups, as they are looked at and decided about.
//!
//! Actors: workers, which count each failed attempt in the transaction that records it, and operators.
//!
//! Guaranteed: an attempt that is recorded as failed is counted in its group, and a group that was
//! resolved is open again with it. How many events fail now is read off the ledger. NOT guaranteed:
//! that attempts recorded by a version before this one are counted.

use async_trait::async_trait;

use super::StoreError;
use crate::model::failure::{FailureChange, FailureGroup, GroupState};
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::time::Timestamp;

/// Looks after groups of failures.
#[async_trait]
pub trait Failures {
    /// Groups in one of these states (empty: in any), the most events that fail now first, `limit` at
    /// most.
    async fn list_failures(
        &self,
        states: &[GroupState],
        limit: u32,
    ) -> Result<Vec<FailureGroup>, StoreError>;

    /// These groups, in the same order; those that there are not are left out.
    async fn find_failures(&self, fingerprints: &[String])
    -> Result<Vec<FailureGroup>, StoreError>;

    /// Changes those of these groups that are in a state for it, or counts them if it is a dry run,
    /// and records the action: all in one transaction.
    async fn change_failures(
        &self,
        change: FailureChange,
        fingerprints: &[String],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError>;
}
