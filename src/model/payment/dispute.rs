//! Disputes: payments that the customer's bank takes back, or tries to.

use serde::Serialize;
use utoipa::ToSchema;

use super::PaymentFact;
use crate::model::time::Timestamp;
use crate::model::words::words;

words! {
    /// Stripe's status of a dispute, in the order in which statuses follow each other when they change
    /// within one second. An inquiry (`warning_…`) can become a dispute.
    ///
    /// Source: Stripe API reference, "The Dispute object", `status`.
    pub enum DisputeStatus {
        /// An inquiry that wants an answer.
        WarningNeedsResponse => "warning_needs_response",
        /// An inquiry that was answered.
        WarningUnderReview => "warning_under_review",
        /// A dispute that wants an answer; the money has been taken.
        NeedsResponse => "needs_response",
        /// A dispute that was answered.
        UnderReview => "under_review",
        /// An inquiry that came to nothing.
        WarningClosed => "warning_closed",
        /// Settled before it began.
        Prevented => "prevented",
        /// Ended because the payment was refunded; older API versions only. The refund decides.
        ChargeRefunded => "charge_refunded",
        /// The money is ours again.
        Won => "won",
        /// The money is gone.
        Lost => "lost",
    }
}

/// Everything known of one dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Dispute {
    /// Stripe's id, `dp_…` or `du_…`.
    pub id: String,
    /// The disputed payment, `pi_…`.
    pub payment_intent: Option<String>,
    /// The disputed charge, `ch_…`.
    pub charge: Option<String>,
    /// In the currency's smallest unit.
    pub amount: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// What the customer says: `fraudulent`, `duplicate`, …
    pub reason: Option<String>,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was opened.
    pub created_at: Timestamp,
    /// `created` of the event that told of this state.
    pub updated_at: Timestamp,
}

impl PaymentFact for Dispute {
    fn id(&self) -> &str {
        &self.id
    }

    fn merge(self, other: Self) -> Self {
        let (updated_at, status) =
            (self.updated_at, self.status).max((other.updated_at, other.status));
        Self {
            id: self.id,
            payment_intent: self.payment_intent.max(other.payment_intent),
            charge: self.charge.max(other.charge),
            amount: self.amount.max(other.amount),
            currency: self.currency.max(other.currency),
            reason: self.reason.max(other.reason),
            status,
            livemode: self.livemode || other.livemode,
            created_at: self.created_at.min(other.created_at),
            updated_at,
        }
    }
}
