//! Refunds: money on its way back.

use serde::Serialize;
use utoipa::ToSchema;

use super::PaymentFact;
use crate::model::time::Timestamp;
use crate::model::words::words;

words! {
    /// Stripe's status of a refund. Only climbs: one that succeeded can still fail, and then the money
    /// is ours again (Stripe documentation, "Refund and cancel payments", failed refunds).
    pub enum RefundStatus {
        /// On its way.
        Pending => "pending",
        /// The customer has to do something for it.
        RequiresAction => "requires_action",
        /// Done, as far as Stripe can tell.
        Succeeded => "succeeded",
        /// Called off.
        Canceled => "canceled",
        /// It came back.
        Failed => "failed",
    }
}

impl RefundStatus {
    /// Whether the money is, or is to be, the customer's again.
    pub const fn gives_back(self) -> bool {
        !matches!(self, Self::Canceled | Self::Failed)
    }
}

/// Everything known of one refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refund {
    /// Stripe's id, `re_…`.
    pub id: String,
    /// The payment it gives back, `pi_…`.
    pub payment_intent: Option<String>,
    /// The charge it gives back, `ch_…`.
    pub charge: Option<String>,
    /// In the currency's smallest unit.
    pub amount: i64,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Where it stands.
    pub status: RefundStatus,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// `created` of the first event that told of this status.
    pub updated_at: Timestamp,
}

impl PaymentFact for Refund {
    fn id(&self) -> &str {
        &self.id
    }

    fn merge(self, other: Self) -> Self {
        let updated_at = match self.status.cmp(&other.status) {
            std::cmp::Ordering::Less => other.updated_at,
            std::cmp::Ordering::Equal => self.updated_at.min(other.updated_at),
            std::cmp::Ordering::Greater => self.updated_at,
        };
        Self {
            id: self.id,
            payment_intent: self.payment_intent.max(other.payment_intent),
            charge: self.charge.max(other.charge),
            amount: self.amount.max(other.amount),
            currency: self.currency.max(other.currency),
            status: self.status.max(other.status),
            livemode: self.livemode || other.livemode,
            created_at: self.created_at.min(other.created_at),
            updated_at,
        }
    }
}
