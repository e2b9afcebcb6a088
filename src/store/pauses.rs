//! Which sources are paused, and what waits for them.

use async_trait::async_trait;

use super::StoreError;
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::pause::{SourceChange, SourceStanding};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// Pausing sources, and putting back what was parked meanwhile.
///
/// Each batch asks which sources are paused, in its own transaction: what is applied after a pause
/// was committed heeds it. NOT guaranteed on Postgres: that a batch which had asked before commits
/// before the pause does; it may do so as long as a batch can take, half a minute at most. A batch
/// that overlooks a resumption parks events that go back with the others.
#[async_trait]
pub trait Pauses {
    /// How every source stands that the ledger has events of, or that was ever paused; by name.
    async fn source_standings(&self) -> Result<Vec<SourceStanding>, StoreError>;

    /// Pauses or resumes those of these sources that are not yet, or counts them if it is a dry run,
    /// and records the action: all in one transaction.
    async fn change_sources(
        &self,
        change: SourceChange,
        sources: &[SourceName],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError>;

    /// Makes up to `limit` parked events of sources that are not paused any more due for another
    /// attempt, the oldest of each source first; answers how many.
    async fn release_parked(&self, limit: u32, now: Timestamp) -> Result<u64, StoreError>;
}
