//! How events are found again, in a ledger of millions.
//!
//! Actors: operators who list, and whoever plans something for all that a filter matches.
//!
//! Guaranteed: no call reads the whole ledger. Distinct states, sources and types are few, so whatever
//! is asked in these words is answered kind by kind from one index; subjects, ids and fingerprints have
//! one of their own; and a text is looked for only in events whose last attempt failed. A survey is of
//! one moment. NOT guaranteed: that pages are of one moment. An event that changes between two of them
//! can be on neither or on both; one that does not change is on exactly one.

use async_trait::async_trait;

use super::StoreError;
use crate::model::ledger::{EventFilter, EventSummary, Position};
use crate::model::survey::Survey;
use crate::model::timeline::Timeline;

/// Which index a question is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The kinds that are wanted, one after the other.
    ByKind,
    /// The primary key, for each source that there is.
    ById,
    /// The events about the subject.
    BySubject,
    /// The events that fail in this way.
    ByFingerprint,
    /// All events that fail.
    Failing,
}

impl Way {
    /// The one that meets the fewest events.
    pub(super) fn of(filter: &EventFilter) -> Self {
        if !filter.ids.is_empty() {
            Self::ById
        } else if filter.subject.is_some() {
            Self::BySubject
        } else if filter.fingerprint.is_some() {
            Self::ByFingerprint
        } else if filter.error.is_some() {
            Self::Failing
        } else {
            Self::ByKind
        }
    }
}

/// The same events after the same position, with one bound at the newer end: an index is entered at
/// one place, and what lies between that and a second bound would be read for nothing.
pub(super) fn narrowed<'p>(
    filter: &EventFilter,
    after: Option<&'p Position>,
) -> (EventFilter, Option<&'p Position>) {
    let mut filter = filter.clone();
    let Some(after) = after else {
        return (filter, None);
    };
    if filter.until.is_some_and(|until| until <= after.received_at) {
        return (filter, None);
    }
    filter.until = None;
    (filter, Some(after))
}

/// Looks for events.
#[async_trait]
pub trait Findings {
    /// Events that match, newest first (those of one moment by source and id), `limit` at most. With a
    /// position only those that come after it.
    async fn page_events(
        &self,
        filter: &EventFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<EventSummary>, StoreError>;

    /// Counts everything that matches.
    async fn survey(&self, filter: &EventFilter) -> Result<Survey, StoreError>;

    /// What happened to all that hangs together with a subject: a user, or anything of Stripe's. Of
    /// more than `limit` happenings the newest.
    async fn timeline(&self, subject: &str, limit: u32) -> Result<Timeline, StoreError>;
}
