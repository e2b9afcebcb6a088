//! Source: Stripe API reference, "The Subscription object"; Stripe changelog, 2025-03-31.basil, which
//! moved the current period from the subscription to its items.

use super::metadata_user;
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::provider::payload::{Object, PayloadError};
use crate::provider::stripe::event::StripeEvent;

/// A subscription. `pause_collection` is not read: Stripe stops collecting and leaves the status as
/// it is, and so does the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionObject {
    /// `sub_…`
    pub id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// `active`, `trialing`, `past_due`, …, or a word of a later API version.
    pub status: Option<String>,
    /// Whether it ends with its period.
    pub cancel_at_period_end: bool,
    /// When it ends, if that is set.
    pub cancel_at: Option<Timestamp>,
    /// When its period ends; that of the latest item where each has its own.
    pub current_period_end: Option<Timestamp>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was made.
    pub created: Timestamp,
    /// `metadata.userId`, if it can be an id.
    pub metadata_user: Option<UserId>,
}

impl SubscriptionObject {
    /// The subscription that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id` or no `created`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let subscription = event.object()?;
        let cancel_at_period_end = subscription.flag("cancel_at_period_end")?;
        Ok(Self {
            id: subscription.required("id", subscription.id("id")?)?,
            customer: subscription.reference("customer")?,
            status: subscription.text("status")?,
            cancel_at_period_end: cancel_at_period_end.unwrap_or(false),
            cancel_at: subscription.seconds("cancel_at")?,
            current_period_end: current_period_end(&subscription)?,
            livemode: event.livemode_of(&subscription)?,
            created: subscription.required("created", subscription.seconds("created")?)?,
            metadata_user: metadata_user(&subscription)?,
        })
    }
}

fn current_period_end(subscription: &Object<'_>) -> Result<Option<Timestamp>, PayloadError> {
    let of_all = subscription.seconds("current_period_end")?;
    if of_all.is_some() {
        return Ok(of_all);
    }
    let Some(items) = subscription.object("items")? else {
        return Ok(None);
    };
    let mut latest = None;
    for item in items.objects("data")? {
        latest = latest.max(item.seconds("current_period_end")?);
    }
    Ok(latest)
}
