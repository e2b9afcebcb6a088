//! How an operator finds events: page by page, counted, and in the order of time.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::event::EventKey;
use crate::model::ledger::{EventFilter, EventSummary, Position};
use crate::model::survey::Survey;
use crate::model::timeline::Timeline;
use crate::store::{Store, StoreError};

/// Part of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page {
    /// The events, newest first.
    pub events: Vec<EventSummary>,
    /// What to go on after; `None` if this is the end.
    pub next: Option<EventKey>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// There is no such place.
    #[error("the ledger has no event {0} to go on after: give the last line of the page before")]
    UnknownPlace(EventKey),
    /// The database cannot be used.
    #[error("events cannot be listed now")]
    Store(#[from] StoreError),
}

/// Events that match, newest first, `limit` at most; those after an event, if one is named. It need
/// not match itself.
///
/// # Errors
///
/// When that event is not in the ledger, or the database cannot be read.
pub async fn page(
    store: &dyn Store,
    filter: &EventFilter,
    after: Option<EventKey>,
    limit: u32,
) -> Result<Page, PageError> {
    let after = match after {
        None => None,
        Some(key) => {
            let record = store.find_event(&key).await?;
            let record = record.ok_or_else(|| PageError::UnknownPlace(key.clone()))?;
            let received_at = record.summary.received_at;
            Some(Position { received_at, key })
        }
    };
    // One more than asked for tells whether there are more.
    let one_more = limit.saturating_add(1);
    let mut events = store.page_events(filter, after.as_ref(), one_more).await?;
    let is_full = events.len() > limit as usize;
    events.truncate(limit as usize);
    let next = events.last().filter(|_| is_full);
    let next = next.map(|last| last.key.clone());
    Ok(Page { events, next })
}

/// Counts everything that matches.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn survey(store: &dyn Store, filter: &EventFilter) -> Result<Survey, StoreError> {
    store.survey(filter).await
}

/// What happened to a user, or to anything of Stripe's, and to all that hangs together with it: of
/// more than `limit` happenings the newest.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn timeline(
    store: &dyn Store,
    subject: &str,
    limit: u32,
) -> Result<Timeline, StoreError> {
    store.timeline(subject, limit).await
}
