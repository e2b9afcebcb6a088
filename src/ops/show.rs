//! One event in full, for who looks at it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::event::EventKey;
use crate::model::headers::KeptHeaders;
use crate::model::ledger::{Attempt, EventRecord, EventSummary};
use crate::model::mask::mask;
use crate::model::replay::ReplayOfEvent;
use crate::model::retention::Remains;
use crate::store::{Store, StoreError};

/// One event in full.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EventReport {
    /// What the listing shows.
    #[serde(flatten)]
    pub summary: EventSummary,
    /// Attempts, oldest first; a first one that succeeded is not among them.
    pub attempts_log: Vec<Attempt>,
    /// The replays that it is in, newest first.
    pub replays: Vec<ReplayOfEvent>,
    /// What is kept of the headers of the first recorded delivery.
    pub headers: KeptHeaders,
    /// How long the payload is; `None` where it is not kept.
    pub payload_bytes: Option<usize>,
    /// What is left of a payload that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_gone: Option<Remains>,
    /// The payload as it came, if it was to be revealed. Holds personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Its shape, without what the values say, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_masked: Option<String>,
}

/// Looks an event up; `None` if the ledger does not know it.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn show(
    store: &dyn Store,
    key: &EventKey,
    reveal: bool,
) -> Result<Option<EventReport>, StoreError> {
    let Some(record) = store.find_event(key).await? else {
        return Ok(None);
    };
    let replays = store.replays_of(key).await?;
    Ok(Some(report(record, replays, reveal)))
}

fn report(record: EventRecord, replays: Vec<ReplayOfEvent>, reveal: bool) -> EventReport {
    let payload = record.payload.as_deref();
    let real = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let masked = |bytes: &[u8]| {
        let event = &record.summary;
        let own = [Some(event.key.id.as_str()), event.subject.as_deref()];
        let own: Vec<&str> = own.into_iter().flatten().collect();
        mask(bytes, &own)
    };
    EventReport {
        payload_bytes: payload.map(<[u8]>::len),
        payload: payload.filter(|_| reveal).map(real),
        payload_masked: payload.filter(|_| !reveal).map(masked),
        payload_gone: record.remains,
        attempts_log: record.attempts,
        headers: record.headers,
        summary: record.summary,
        replays,
    }
}
