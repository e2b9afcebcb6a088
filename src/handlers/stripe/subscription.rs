//! `customer.subscription.created`, `.updated`, `.paused`, `.resumed`, `.trial_will_end`, … and
//! `.deleted`.
//!
//! All of them carry the whole subscription as it was then, so a type that is new tells as much as
//! those that are known. Source: Stripe documentation, "Using webhooks with subscriptions".

use super::{decisive, named, record};
use crate::model::changes::Changes;
use crate::model::payment::{Fact, Subscription, SubscriptionStatus};
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;
use crate::provider::stripe::object::SubscriptionObject;

pub(super) fn state(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let subscription = SubscriptionObject::of(payload)?;
    let word = subscription.status.as_deref();
    let status = decisive(payload, "status", word, SubscriptionStatus::parse)?;
    told(payload, subscription, status)
}

/// The end, whatever the subscription says of itself: a type cannot be out of date.
pub(super) fn deleted(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let subscription = SubscriptionObject::of(payload)?;
    let word = subscription.status.as_deref().unwrap_or_default();
    let status = match SubscriptionStatus::parse(word) {
        Some(SubscriptionStatus::IncompleteExpired) => SubscriptionStatus::IncompleteExpired,
        _ => SubscriptionStatus::Canceled,
    };
    told(payload, subscription, status)
}

fn told(
    payload: &StripeEvent<'_>,
    subscription: SubscriptionObject,
    status: SubscriptionStatus,
) -> Result<Changes, PayloadError> {
    Ok(record(Fact::Subscription(Subscription {
        id: subscription.id,
        named_user: named(payload, subscription.metadata_user)?,
        attributed_user: None,
        customer: subscription.customer,
        status,
        cancel_at_period_end: subscription.cancel_at_period_end,
        cancel_at: subscription.cancel_at,
        current_period_end: subscription.current_period_end,
        livemode: subscription.livemode,
        created_at: subscription.created,
        updated_at: payload.created()?,
    })))
}
