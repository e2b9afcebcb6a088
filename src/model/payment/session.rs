//! Checkout Sessions: what a customer was offered, and whether the money came.

use serde::Serialize;
use utoipa::ToSchema;

use super::{NamedUser, PaymentFact};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::model::words::words;

words! {
    /// How far a Checkout Session has come, in Stripe's words. Only climbs.
    pub enum SessionStatus {
        /// It ran out before the customer finished it.
        Expired => "expired",
        /// The customer finished it; says nothing about money.
        Complete => "complete",
    }
}

words! {
    /// Where the money of a Checkout Session stands, in Stripe's words (`failed` is ours: Stripe only
    /// has an event type for it). Only climbs, so that a late `completed` with `unpaid` cannot undo
    /// an `async_payment_succeeded` that overtook it.
    pub enum PaymentStatus {
        /// Not there yet: the usual answer of delayed payment methods.
        Unpaid => "unpaid",
        /// A delayed payment did not come (`async_payment_failed`).
        Failed => "failed",
        /// Nothing is due now: a trial, a full discount, or a session that only saves a card.
        NoPaymentRequired => "no_payment_required",
        /// The money is there.
        Paid => "paid",
    }
}

/// Everything known of one Checkout Session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckoutSession {
    /// Stripe's id, `cs_…`.
    pub id: String,
    /// The user named by `metadata.userId`, else by `client_reference_id`.
    pub named_user: Option<NamedUser>,
    /// The user whom a person has given it to. Comes from no event; the last word holds.
    pub attributed_user: Option<NamedUser>,
    /// Stripe's customer, `cus_…`.
    pub customer: Option<String>,
    /// Stripe's payment intent, `pi_…`.
    pub payment_intent: Option<String>,
    /// Stripe's subscription, `sub_…`.
    pub subscription: Option<String>,
    /// `payment`, `subscription` or `setup`.
    pub mode: Option<String>,
    /// How far it has come.
    pub status: SessionStatus,
    /// Where the money stands.
    pub payment: PaymentStatus,
    /// In the currency's smallest unit.
    pub amount_total: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When the session was opened.
    pub created_at: Timestamp,
    /// `created` of the newest event that told of it.
    pub updated_at: Timestamp,
}

impl PaymentFact for CheckoutSession {
    fn id(&self) -> &str {
        &self.id
    }

    /// Facts that Stripe sets once (customer, intent, subscription, mode, amount) go from absent to
    /// present; should two accounts contradict each other, the greater value holds, which is
    /// arbitrary but the same everywhere.
    fn merge(self, other: Self) -> Self {
        Self {
            id: self.id,
            named_user: NamedUser::earliest(self.named_user, other.named_user),
            attributed_user: self.attributed_user.max(other.attributed_user),
            customer: self.customer.max(other.customer),
            payment_intent: self.payment_intent.max(other.payment_intent),
            subscription: self.subscription.max(other.subscription),
            mode: self.mode.max(other.mode),
            status: self.status.max(other.status),
            payment: self.payment.max(other.payment),
            amount_total: self.amount_total.max(other.amount_total),
            currency: self.currency.max(other.currency),
            livemode: self.livemode || other.livemode,
            created_at: self.created_at.min(other.created_at),
            updated_at: self.updated_at.max(other.updated_at),
        }
    }
}

impl CheckoutSession {
    /// Whether this session by itself gives access.
    ///
    /// Money that has come does. Nothing being due does if the customer finished the session; a
    /// session in `setup` mode only saves a card, so nothing was bought.
    pub fn grants(&self) -> bool {
        match self.payment {
            PaymentStatus::Paid => true,
            PaymentStatus::NoPaymentRequired => {
                self.status == SessionStatus::Complete && !self.only_saves_a_method()
            }
            PaymentStatus::Unpaid | PaymentStatus::Failed => false,
        }
    }

    /// Whether it is in `setup` mode: nothing is bought.
    pub fn only_saves_a_method(&self) -> bool {
        self.mode.as_deref() == Some("setup")
    }

    /// The user it belongs to by its own account, or by a person's.
    pub fn own_user(&self) -> Option<&UserId> {
        let named = self.attributed_user.as_ref().or(self.named_user.as_ref());
        named.map(|named| &named.id)
    }
}
