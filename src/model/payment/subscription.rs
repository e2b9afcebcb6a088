//! Subscriptions: what keeps access, or ends it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{NamedUser, PaymentFact};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::model::words::words;

words! {
    /// Stripe's status of a subscription, in the order in which statuses follow each other when they
    /// change within one second.
    ///
    /// Source: Stripe API reference, "The Subscription object", `status`. A new one is `incomplete`
    /// or `trialing`; `paused` is what a trial without a payment method becomes, and it is resumed
    /// into `active`; a renewal that fails makes `active` `past_due`, and later `unpaid`; the last
    /// two are ends.
    pub enum SubscriptionStatus {
        /// Its first payment has not come.
        Incomplete => "incomplete",
        /// Free for now.
        Trialing => "trialing",
        /// Its trial ended and there is nothing to charge.
        Paused => "paused",
        /// In order.
        Active => "active",
        /// A renewal has not been paid; Stripe goes on trying.
        PastDue => "past_due",
        /// A renewal has not been paid; Stripe has stopped trying.
        Unpaid => "unpaid",
        /// Its first payment never came.
        IncompleteExpired => "incomplete_expired",
        /// Over.
        Canceled => "canceled",
    }
}

impl SubscriptionStatus {
    /// Whether nothing comes after it.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::IncompleteExpired | Self::Canceled)
    }
}

/// Everything known of one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Subscription {
    /// Stripe's id, `sub_…`.
    pub id: String,
    /// The user named by `metadata.userId`.
    pub named_user: Option<NamedUser>,
    /// The user whom a person has given it to. Comes from no event; the last word holds.
    pub attributed_user: Option<NamedUser>,
    /// Stripe's customer, `cus_…`.
    pub customer: Option<String>,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// Whether it ends with the current period.
    pub cancel_at_period_end: bool,
    /// When it will end, if that is set.
    pub cancel_at: Option<Timestamp>,
    /// When the current period ends; the latest one if its items differ.
    pub current_period_end: Option<Timestamp>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// `created` of the event that told of this state.
    pub updated_at: Timestamp,
}

impl PaymentFact for Subscription {
    fn id(&self) -> &str {
        &self.id
    }

    /// An end holds over everything else. Else the state of the later event holds. Of two states of
    /// the same second it is the one whose status follows the other's, then the one whose period
    /// ends later (it was renewed), then the one that is to be cancelled.
    fn merge(self, other: Self) -> Self {
        let named_user = NamedUser::earliest(self.named_user.clone(), other.named_user.clone());
        let attributed_user = self
            .attributed_user
            .clone()
            .max(other.attributed_user.clone());
        let customer = self.customer.clone().max(other.customer.clone());
        let livemode = self.livemode || other.livemode;
        let created_at = self.created_at.min(other.created_at);
        let latest = if self.order() < other.order() {
            other
        } else {
            self
        };
        Self {
            named_user,
            attributed_user,
            customer,
            livemode,
            created_at,
            ..latest
        }
    }
}

impl Subscription {
    fn order(&self) -> impl Ord {
        (
            self.status.is_end(),
            self.updated_at,
            self.status,
            self.current_period_end,
            self.cancel_at_period_end,
            self.cancel_at,
        )
    }

    /// The user it belongs to by its own account, or by a person's.
    pub fn own_user(&self) -> Option<&UserId> {
        let named = self.attributed_user.as_ref().or(self.named_user.as_ref());
        named.map(|named| &named.id)
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.status.is_end()
    }

    /// When it will end, if somebody has cancelled it for later.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let with_period = self
            .current_period_end
            .filter(|_| self.cancel_at_period_end);
        self.cancel_at.or(with_period)
    }

    /// Whether it was cancelled for later.
    pub fn is_ending(&self) -> bool {
        self.cancel_at_period_end || self.cancel_at.is_some()
    }
}
