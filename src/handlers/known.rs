//! The types that are acted on, by name: what may be a label.

use crate::model::event::EventType;

/// What the indexes of all providers name; of the subscriptions, which are taken by their prefix,
/// those that Stripe documents.
const TYPES: [&str; 31] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.refund.updated",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice_payment.paid",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "user.created",
    "user.deleted",
    "user.updated",
];

/// The name of a type that is acted on; `None` for all others, of which there may be any number.
pub fn known_type(event_type: &EventType) -> Option<&'static str> {
    let place = TYPES.binary_search(&event_type.as_str()).ok()?;
    Some(TYPES[place])
}
