//! Invoices: which payment is for which subscription.

use serde::Serialize;
use utoipa::ToSchema;

use super::PaymentFact;
use crate::model::time::Timestamp;
use crate::model::words::words;

words! {
    /// Stripe's status of an invoice, without its draft. Only climbs: what is paid stays paid, and
    /// what was written off can still be paid.
    pub enum InvoiceStatus {
        /// To be paid.
        Open => "open",
        /// Written off.
        Uncollectible => "uncollectible",
        /// Withdrawn.
        Void => "void",
        /// Paid, or nothing was due.
        Paid => "paid",
    }
}

/// Everything known of one invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invoice {
    /// Stripe's id, `in_…`.
    pub id: String,
    /// The subscription it is for, `sub_…`.
    pub subscription: Option<String>,
    /// What it was paid with, `pi_…`; one of them, if there were several. Stripe's newer API versions
    /// tell it only in `invoice_payment.paid`.
    pub payment_intent: Option<String>,
    /// Why there is an invoice: `subscription_create`, `subscription_cycle`, …
    pub billing_reason: Option<String>,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// In the currency's smallest unit.
    pub amount_paid: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// `created` of the newest event that told of it.
    pub updated_at: Timestamp,
}

impl PaymentFact for Invoice {
    fn id(&self) -> &str {
        &self.id
    }

    /// Everything goes from absent to present, or climbs.
    fn merge(self, other: Self) -> Self {
        Self {
            id: self.id,
            subscription: self.subscription.max(other.subscription),
            payment_intent: self.payment_intent.max(other.payment_intent),
            billing_reason: self.billing_reason.max(other.billing_reason),
            status: self.status.max(other.status),
            amount_paid: self.amount_paid.max(other.amount_paid),
            currency: self.currency.max(other.currency),
            livemode: self.livemode || other.livemode,
            created_at: self.created_at.min(other.created_at),
            updated_at: self.updated_at.max(other.updated_at),
        }
    }
}

impl Invoice {
    /// Whether money came for it.
    pub fn brought_money(&self) -> bool {
        self.status == InvoiceStatus::Paid && self.amount_paid.is_some_and(|amount| amount > 0)
    }

    /// Whether it is for a period of a subscription, and not for a change within one.
    pub fn is_for_a_period(&self) -> bool {
        matches!(
            self.billing_reason.as_deref(),
            None | Some(
                "subscription_create" | "subscription_cycle" | "subscription" | "quote_accept"
            )
        )
    }
}
