//! Source: Stripe API reference, "The Invoice Payment object".

use crate::model::time::Timestamp;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

/// A payment towards an invoice, `inpay_…`: the only place where newer API versions tell which payment
/// that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoicePaymentObject {
    /// `in_…`
    pub invoice: String,
    /// `pi_…`; not there for payments that were made elsewhere.
    pub payment_intent: Option<String>,
    /// In the currency's smallest unit.
    pub amount_paid: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was made.
    pub created: Timestamp,
}

impl InvoicePaymentObject {
    /// The payment that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `invoice` or no `created`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let link = event.object()?;
        Ok(Self {
            invoice: link.required("invoice", link.reference("invoice")?)?,
            payment_intent: match link.object("payment")? {
                Some(payment) => payment.reference("payment_intent")?,
                None => None,
            },
            amount_paid: link.number("amount_paid")?,
            currency: link.text("currency")?,
            livemode: event.livemode_of(&link)?,
            created: link.required("created", link.seconds("created")?)?,
        })
    }
}
