//! Charges: how much of a payment was given back, in sum.

use serde::Serialize;
use utoipa::ToSchema;

use super::PaymentFact;
use crate::model::time::Timestamp;

/// What is known of one charge; events tell of it when some of it is refunded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Charge {
    /// Stripe's id, `ch_…` or `py_…`.
    pub id: String,
    /// The payment it belongs to, `pi_…`.
    pub payment_intent: Option<String>,
    /// What was taken, in the currency's smallest unit.
    pub amount: i64,
    /// What was given back of it when the event was made.
    pub amount_refunded: i64,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// `created` of the event that told of this state.
    pub updated_at: Timestamp,
}

impl PaymentFact for Charge {
    fn id(&self) -> &str {
        &self.id
    }

    /// The sums of the later event hold; of the same second, the greater refund: each of these events
    /// tells of one refund more.
    fn merge(self, other: Self) -> Self {
        let payment_intent = self
            .payment_intent
            .clone()
            .max(other.payment_intent.clone());
        let currency = self.currency.clone().max(other.currency.clone());
        let livemode = self.livemode || other.livemode;
        let created_at = self.created_at.min(other.created_at);
        let order = |charge: &Self| (charge.updated_at, charge.amount_refunded, charge.amount);
        let latest = if order(&self) < order(&other) {
            other
        } else {
            self
        };
        Self {
            payment_intent,
            currency,
            livemode,
            created_at,
            ..latest
        }
    }
}
