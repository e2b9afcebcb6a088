//! Source: Stripe API reference, "The Refund object".

use crate::model::time::Timestamp;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundObject {
    /// `re_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// `ch_…`
    pub charge: Option<String>,
    /// In the currency's smallest unit.
    pub amount: i64,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// `pending`, `requires_action`, `succeeded`, `failed`, `canceled`, or a word of a later API
    /// version. The reference calls it nullable.
    pub status: Option<String>,
    /// Whether it is about real money; only the event says so.
    pub livemode: bool,
    /// When it was made.
    pub created: Timestamp,
}

impl RefundObject {
    /// The refund that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id`, no `amount` or no `created`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let refund = event.object()?;
        Ok(Self {
            id: refund.required("id", refund.id("id")?)?,
            payment_intent: refund.reference("payment_intent")?,
            charge: refund.reference("charge")?,
            amount: refund.required("amount", refund.number("amount")?)?,
            currency: refund.text("currency")?,
            status: refund.text("status")?,
            livemode: event.livemode_of(&refund)?,
            created: refund.required("created", refund.seconds("created")?)?,
        })
    }
}
