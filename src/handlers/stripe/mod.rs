//! What Stripe's events ask of the mirror.

use crate::model::changes::{Changes, IgnoreReason};
use crate::model::event::{Event, EventType};
use crate::model::payment::{Fact, NamedUser};
use crate::model::user::UserId;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

mod charge;
mod checkout;
mod customer;
mod dispute;
mod invoice;
mod refund;
mod subscription;

/// The index of all that is acted on; `None` for everything else.
pub(super) fn changes(
    event: &Event,
    payload: &StripeEvent<'_>,
) -> Option<Result<Changes, PayloadError>> {
    if payload.is_thin() {
        return Some(Ok(Changes::Ignore(IgnoreReason::ThinEvent)));
    }
    Some(match event.event_type.as_str() {
        "checkout.session.completed" => checkout::completed(payload),
        "checkout.session.async_payment_succeeded" => checkout::payment_succeeded(payload),
        "checkout.session.async_payment_failed" => checkout::payment_failed(payload),
        "checkout.session.expired" => checkout::expired(payload),
        "customer.created" | "customer.updated" => customer::link(payload),
        "customer.subscription.deleted" => subscription::deleted(payload),
        word if word.starts_with("customer.subscription.") => subscription::state(payload),
        "invoice.paid" | "invoice.payment_succeeded" => invoice::paid(payload),
        "invoice.payment_failed" => invoice::payment_failed(payload),
        "invoice_payment.paid" => invoice::paid_with(payload),
        "refund.created" | "refund.updated" | "charge.refund.updated" => refund::state(payload),
        "refund.failed" => refund::failed(payload),
        "charge.refunded" => charge::refunded(payload),
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => dispute::state(payload),
        _ => return None,
    })
}

/// The Checkout Session or the subscription an event is about, else the customer, else the payment
/// intent, else the object it carries.
///
/// Most refunds and all disputes name no customer. Under the payment they stand together, and with
/// what else is told of it; a payment is also what people look up, at Stripe and here.
///
/// Releasing events that wait for their user relies on this: those of a session or of a subscription
/// are filed under its id.
pub(super) fn subject(event_type: &EventType, payload: &StripeEvent<'_>) -> Option<String> {
    let word = event_type.as_str();
    if word.starts_with("checkout.session.") || word.starts_with("customer.subscription.") {
        return payload.object_reference("id");
    }
    payload
        .object_reference("customer")
        .or_else(|| payload.object_reference("payment_intent"))
        .or_else(|| payload.inner_reference("payment", "payment_intent"))
        .or_else(|| payload.object_reference("id"))
}

fn record(fact: Fact) -> Changes {
    Changes::RecordPayment(Box::new(fact))
}

/// Reads a word that decides something. One that is new to us may mean anything, so it grants nothing
/// and refuses nothing: the event fails, and a person has to look.
fn decisive<T>(
    payload: &StripeEvent<'_>,
    name: &str,
    word: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, PayloadError> {
    let word = word.ok_or_else(|| payload.object_invalid(name, "is missing"))?;
    parse(word)
        .ok_or_else(|| payload.object_invalid(name, "is a word that this program does not know"))
}

/// A user who is named by this event.
fn named(
    payload: &StripeEvent<'_>,
    user: Option<UserId>,
) -> Result<Option<NamedUser>, PayloadError> {
    let at = payload.created()?;
    Ok(user.map(|id| NamedUser { at, id }))
}
