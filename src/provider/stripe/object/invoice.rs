//! Source: Stripe API reference, "The Invoice object"; Stripe changelog, 2025-03-31.basil, which moved
//! the subscription into `parent` and the payments into a list that events leave out.

use crate::model::time::Timestamp;
use crate::provider::payload::{Object, PayloadError};
use crate::provider::stripe::event::StripeEvent;

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceObject {
    /// `in_…`
    pub id: String,
    /// `sub_…`
    pub subscription: Option<String>,
    /// `pi_…`: what it is paid with, where the event says so.
    pub payment_intent: Option<String>,
    /// `subscription_create`, `subscription_cycle`, `manual`, …
    pub billing_reason: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible`, `void`, or a word of a later API version.
    pub status: Option<String>,
    /// In the currency's smallest unit.
    pub amount_paid: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was made.
    pub created: Timestamp,
}

impl InvoiceObject {
    /// The invoice that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id` or no `created`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let invoice = event.object()?;
        Ok(Self {
            id: invoice.required("id", invoice.id("id")?)?,
            subscription: subscription(&invoice)?,
            payment_intent: payment_intent(&invoice)?,
            billing_reason: invoice.text("billing_reason")?,
            status: invoice.text("status")?,
            amount_paid: invoice.number("amount_paid")?,
            currency: invoice.text("currency")?,
            livemode: event.livemode_of(&invoice)?,
            created: invoice.required("created", invoice.seconds("created")?)?,
        })
    }
}

fn subscription(invoice: &Object<'_>) -> Result<Option<String>, PayloadError> {
    let own = invoice.reference("subscription")?;
    if own.is_some() {
        return Ok(own);
    }
    let details = match invoice.object("parent")? {
        Some(parent) => parent.object("subscription_details")?,
        None => None,
    };
    match details {
        Some(details) => details.reference("subscription"),
        None => Ok(None),
    }
}

/// Of several payments, the one that paid most: attempts that came to nothing stand in the same list.
fn payment_intent(invoice: &Object<'_>) -> Result<Option<String>, PayloadError> {
    let own = invoice.reference("payment_intent")?;
    if own.is_some() {
        return Ok(own);
    }
    let Some(payments) = invoice.object("payments")? else {
        return Ok(None);
    };
    let mut most = None;
    for entry in payments.objects("data")? {
        if entry.text("status")?.is_some_and(|status| status != "paid") {
            continue;
        }
        let intent = match entry.object("payment")? {
            Some(payment) => payment.reference("payment_intent")?,
            None => None,
        };
        if let Some(intent) = intent {
            most = most.max(Some((entry.number("amount_paid")?, intent)));
        }
    }
    Ok(most.map(|(_, intent)| intent))
}
