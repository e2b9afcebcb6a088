//! What the database can tell of processing that has not happened.

use async_trait::async_trait;

use super::StoreError;
use crate::model::changes::Planned;
use crate::model::ledger::EventFilter;
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::preview::{Previewed, Recalled};
use crate::model::time::Timestamp;

/// How many bytes of payloads are read at once at most.
pub(super) const MOST_BYTES: i64 = 64 * 1024 * 1024;

/// Trying out what events would do.
#[async_trait]
pub trait Previews {
    /// Events that match, as they came, the first received first: `limit` at most, and no more than
    /// memory should hold of their bytes. Tells how many there are in all.
    async fn recall_events(&self, filter: &EventFilter, limit: u32)
    -> Result<Recalled, StoreError>;

    /// Applies a batch as a replay of its events would, tells what that changed, and
    /// undoes it; of `matched` events that the action is about. Nothing stays but the record of the
    /// action, which must be a dry run: all in one transaction, by the rules and in the order of
    /// [`Store::apply`](super::Store::apply). Whom a batch would keep waiting, this does.
    async fn preview(
        &self,
        batch: &[Planned],
        matched: u64,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<(Previewed, ActionRecord), StoreError>;
}
