//! Source: Stripe API reference, "The Dispute object".

use crate::model::time::Timestamp;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeObject {
    /// `dp_…` or `du_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// `ch_…`
    pub charge: Option<String>,
    /// In the currency's smallest unit.
    pub amount: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// `fraudulent`, `duplicate`, …
    pub reason: Option<String>,
    /// `needs_response`, `won`, `lost`, …, or a word of a later API version.
    pub status: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was opened.
    pub created: Timestamp,
}

impl DisputeObject {
    /// The dispute that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id` or no `created`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let dispute = event.object()?;
        Ok(Self {
            id: dispute.required("id", dispute.id("id")?)?,
            payment_intent: dispute.reference("payment_intent")?,
            charge: dispute.reference("charge")?,
            amount: dispute.number("amount")?,
            currency: dispute.text("currency")?,
            reason: dispute.text("reason")?,
            status: dispute.text("status")?,
            livemode: event.livemode_of(&dispute)?,
            created: dispute.required("created", dispute.seconds("created")?)?,
        })
    }
}
