//! What Stripe's events ask of the mirror.

use crate::model::changes::{Changes, IgnoreReason};
use crate::model::event::{Event, EventType};
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

mod checkout;

/// The index of all that is acted on; `None` for everything else.
pub(super) fn changes(
    event: &Event,
    payload: &StripeEvent<'_>,
) -> Option<Result<Changes, PayloadError>> {
    if payload.is_thin() {
        return Some(Ok(Changes::Ignore(IgnoreReason::ThinEvent)));
    }
    match event.event_type.as_str() {
        "checkout.session.completed" => Some(checkout::completed(payload)),
        "checkout.session.async_payment_succeeded" => Some(checkout::payment_succeeded(payload)),
        "checkout.session.async_payment_failed" => Some(checkout::payment_failed(payload)),
        "checkout.session.expired" => Some(checkout::expired(payload)),
        _ => None,
    }
}

/// The Checkout Session an event is about, else the customer, else the object it carries.
pub(super) fn subject(event_type: &EventType, payload: &StripeEvent<'_>) -> Option<String> {
    if event_type.as_str().starts_with("checkout.session.") {
        return payload.object_reference("id");
    }
    payload
        .object_reference("customer")
        .or_else(|| payload.object_reference("id"))
}
