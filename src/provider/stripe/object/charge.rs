//! Source: Stripe API reference, "The Charge object".

use crate::model::time::Timestamp;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

/// A charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeObject {
    /// `ch_…` or `py_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// What was asked for, in the currency's smallest unit.
    pub amount: i64,
    /// What was taken of it. Not in events of before 2020.
    pub amount_captured: Option<i64>,
    /// What was given back. Where less was taken than asked for, what was not taken can be in it.
    pub amount_refunded: i64,
    /// Whether all of it was given back: `false` as long as that is only a part.
    pub refunded: Option<bool>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was made.
    pub created: Timestamp,
}

impl ChargeObject {
    /// The charge that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id`, no `amount`, no
    /// `amount_refunded` or no `created`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let charge = event.object()?;
        let amount_refunded = charge.number("amount_refunded")?;
        Ok(Self {
            id: charge.required("id", charge.id("id")?)?,
            payment_intent: charge.reference("payment_intent")?,
            amount: charge.required("amount", charge.number("amount")?)?,
            amount_captured: charge.number("amount_captured")?,
            amount_refunded: charge.required("amount_refunded", amount_refunded)?,
            refunded: charge.flag("refunded")?,
            currency: charge.text("currency")?,
            livemode: event.livemode_of(&charge)?,
            created: charge.required("created", charge.seconds("created")?)?,
        })
    }
}
