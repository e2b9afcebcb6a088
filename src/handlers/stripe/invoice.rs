//! `invoice.paid` and `invoice.payment_succeeded`, which are told together; `invoice.payment_failed`;
//! `invoice_payment.paid`.
//!
//! They add which payment is for which subscription, so that a refund or a dispute finds it. Since API
//! version 2025-03-31.basil an invoice does not say what it was paid with: `invoice_payment.paid` does,
//! and it says nothing else. The two are joined by the invoice's id.

use super::{decisive, record};
use crate::model::changes::Changes;
use crate::model::payment::{Fact, Invoice, InvoiceStatus};
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;
use crate::provider::stripe::object::{InvoiceObject, InvoicePaymentObject};

/// Stripe's word for an invoice that is not final. Nothing is due, so it is no status of ours.
const DRAFT: &str = "draft";

pub(super) fn paid(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    told(payload, InvoiceObject::of(payload)?, InvoiceStatus::Paid)
}

pub(super) fn payment_failed(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let invoice = InvoiceObject::of(payload)?;
    let status = match invoice.status.as_deref() {
        None | Some(DRAFT) => InvoiceStatus::Open,
        word => decisive(payload, "status", word, InvoiceStatus::parse)?,
    };
    told(payload, invoice, status)
}

fn told(
    payload: &StripeEvent<'_>,
    invoice: InvoiceObject,
    status: InvoiceStatus,
) -> Result<Changes, PayloadError> {
    // Until it is paid, it may be paid with something else.
    let is_paid = status == InvoiceStatus::Paid;
    Ok(record(Fact::Invoice(Invoice {
        id: invoice.id,
        subscription: invoice.subscription,
        payment_intent: invoice.payment_intent.filter(|_| is_paid),
        billing_reason: invoice.billing_reason,
        status,
        amount_paid: invoice.amount_paid,
        currency: invoice.currency,
        livemode: invoice.livemode,
        created_at: invoice.created,
        updated_at: payload.created()?,
    })))
}

/// One payment may be a part of what is due, so the invoice counts as paid only when it says so.
pub(super) fn paid_with(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let link = InvoicePaymentObject::of(payload)?;
    Ok(record(Fact::Invoice(Invoice {
        id: link.invoice,
        subscription: None,
        payment_intent: link.payment_intent,
        billing_reason: None,
        status: InvoiceStatus::Open,
        amount_paid: link.amount_paid,
        currency: link.currency,
        livemode: link.livemode,
        created_at: link.created,
        updated_at: payload.created()?,
    })))
}
