//! What Clerk's events ask of the mirror.

use crate::model::changes::Changes;
use crate::model::event::{Event, EventType};
use crate::model::user::UserChange;
use crate::provider::clerk::event::ClerkEvent;
use crate::provider::payload::PayloadError;

mod user;

/// The index of all that is acted on; `None` for everything else.
pub(super) fn changes(
    event: &Event,
    payload: &ClerkEvent<'_>,
) -> Option<Result<Changes, PayloadError>> {
    match event.event_type.as_str() {
        "user.created" => Some(user::mirror(payload, UserChange::Created)),
        "user.updated" => Some(user::mirror(payload, UserChange::Updated)),
        "user.deleted" => Some(user::delete(payload, event.received_at)),
        _ => None,
    }
}

/// The user an event is about, else the object it carries.
pub(super) fn subject(event_type: &EventType, payload: &ClerkEvent<'_>) -> Option<String> {
    if event_type.as_str().starts_with("user.") {
        return payload.data_text("id");
    }
    payload
        .data_text("user_id")
        .or_else(|| payload.data_text("id"))
}

/// Messages that Clerk sends carry one-time codes, in their text and beside it. A ledger that kept
/// them would let its readers sign in as somebody else.
pub(super) fn keeps_payload(event_type: &EventType) -> bool {
    !matches!(event_type.as_str(), "email.created" | "sms.created")
}
