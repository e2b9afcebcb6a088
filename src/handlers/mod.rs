//! One event in, one plan out: what it is about, and what it asks of the mirror.
//!
//! Actors: [`plan`] is called by the worker for each event it takes. The provider's folder holds an
//! index, one `match` on the type, of all that is acted on, and one file for each kind of object.
//! Whatever is not in an index is ignored, in this file; so is, before any handler looks at it, a
//! test event at a source for live ones, and the other way round.
//!
//! Guaranteed: pure, without database, clock or network; the same event always gives the same plan;
//! no body makes it panic, however deep, long or odd; no error quotes anything of the body. NOT
//! guaranteed: that the plan has an effect; newer facts may be in the mirror already.

use crate::model::changes::{Changes, IgnoreReason};
use crate::model::event::{Event, EventType};
use crate::model::source::{Provider, Source};
use crate::provider::clerk::event::ClerkEvent;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

mod clerk;
mod error;
mod known;
mod stripe;

pub use error::HandlerError;
pub use known::known_type;

const LONGEST_SUBJECT: usize = 255;

/// What is to be done about one event.
#[derive(Debug)]
pub struct Plan {
    /// What it is about: `user_…`, `cs_…`; if that could be told.
    pub subject: Option<String>,
    /// Whether the ledger may keep the body.
    pub keep_payload: bool,
    /// What it asks of the mirror, or why that cannot be told.
    pub result: Result<Changes, HandlerError>,
}

/// Decides what an event asks of the mirror.
pub fn plan(source: &Source, event: &Event) -> Plan {
    let (subject, result) = match source.provider {
        Provider::Clerk => match ClerkEvent::of_body(&event.body) {
            Ok(payload) => (
                clerk::subject(&event.event_type, &payload),
                clerk::changes(event, &payload),
            ),
            Err(error) => (None, Some(Err(error))),
        },
        Provider::Stripe => match StripeEvent::of_body(&event.body) {
            Ok(payload) => (
                stripe::subject(&event.event_type, &payload),
                foreign(source, &payload).or_else(|| stripe::changes(event, &payload)),
            ),
            Err(error) => (None, Some(Err(error))),
        },
    };
    Plan {
        subject: subject.filter(|subject| is_presentable(subject)),
        keep_payload: match source.provider {
            Provider::Clerk => clerk::keeps_payload(&event.event_type),
            Provider::Stripe => true,
        },
        result: settle(&event.event_type, result),
    }
}

/// Whether the ledger may keep bodies of this type, whoever sends them: for an event whose source is
/// not known, or whose body must not be touched.
pub fn keeps_payload(event_type: &EventType) -> bool {
    clerk::keeps_payload(event_type)
}

/// What is to be done about an event that is not meant for this source; `None` if it is. An event that
/// does not say what it is fails where that matters: to guess would be to grant or to withhold
/// something for no reason.
fn foreign(source: &Source, payload: &StripeEvent<'_>) -> Option<Result<Changes, PayloadError>> {
    let wanted = source.livemode?;
    match payload.livemode() {
        Ok(livemode) if livemode == wanted => None,
        Ok(true) => Some(Ok(Changes::Ignore(IgnoreReason::LiveEvent))),
        Ok(false) => Some(Ok(Changes::Ignore(IgnoreReason::TestEvent))),
        Err(error) => Some(Err(error)),
    }
}

/// What is in no index is ignored; what has no type cannot be looked up in one.
fn settle(
    event_type: &EventType,
    handled: Option<Result<Changes, PayloadError>>,
) -> Result<Changes, HandlerError> {
    match handled {
        Some(result) => Ok(result?),
        None if *event_type == EventType::unknown() => Err(HandlerError::TypeMissing),
        None => Ok(Changes::Ignore(IgnoreReason::TypeNotHandled)),
    }
}

/// Subjects stand in listings and filters.
fn is_presentable(subject: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&subject.len()) && subject.bytes().all(|b| b.is_ascii_graphic())
}
