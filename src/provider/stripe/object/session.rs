//! Source: Stripe API reference, "The Checkout Session object".

use super::{metadata_user, usable_user};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

/// A Checkout Session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionObject {
    /// `cs_…`
    pub id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// `sub_…`
    pub subscription: Option<String>,
    /// `payment`, `subscription` or `setup`.
    pub mode: Option<String>,
    /// `paid`, `unpaid`, `no_payment_required`, or a word of a later API version.
    pub payment_status: Option<String>,
    /// In the currency's smallest unit.
    pub amount_total: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was opened.
    pub created: Timestamp,
    /// `metadata.userId`, if it can be an id.
    pub metadata_user: Option<UserId>,
    /// `client_reference_id`, if it can be an id. Documented as "a customer ID, a cart ID, or
    /// similar"; with Payment Links the customer can set it in the address.
    pub client_reference: Option<UserId>,
}

impl SessionObject {
    /// The session that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id` or no `created`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let session = event.object()?;
        Ok(Self {
            id: session.required("id", session.id("id")?)?,
            customer: session.reference("customer")?,
            payment_intent: session.reference("payment_intent")?,
            subscription: session.reference("subscription")?,
            mode: session.text("mode")?,
            payment_status: session.text("payment_status")?,
            amount_total: session.number("amount_total")?,
            currency: session.text("currency")?,
            livemode: event.livemode_of(&session)?,
            created: session.required("created", session.seconds("created")?)?,
            metadata_user: metadata_user(&session)?,
            client_reference: usable_user(&session, "client_reference_id"),
        })
    }
}
