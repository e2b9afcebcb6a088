//! Payment facts other than Checkout Sessions, in few words.

use hookmirror::model::payment::{
    Dispute, DisputeStatus, Invoice, InvoiceStatus, NamedUser, Refund, RefundStatus, Subscription,
    SubscriptionStatus,
};

use super::given::{at, user_id};

/// An active subscription that names nobody.
pub(crate) fn subscription(id: &str) -> Subscription {
    Subscription {
        id: id.to_owned(),
        named_user: None,
        attributed_user: None,
        customer: None,
        status: SubscriptionStatus::Active,
        cancel_at_period_end: false,
        cancel_at: None,
        current_period_end: Some(at(2_600_000)),
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

/// An active subscription that names its user.
pub(crate) fn subscription_of(id: &str, user: &str) -> Subscription {
    Subscription {
        named_user: Some(NamedUser {
            at: at(1),
            id: user_id(user),
        }),
        ..subscription(id)
    }
}

/// A paid invoice for a period of a subscription.
pub(crate) fn invoice(id: &str, subscription: &str, intent: &str) -> Invoice {
    Invoice {
        id: id.to_owned(),
        subscription: Some(subscription.to_owned()),
        payment_intent: Some(intent.to_owned()),
        billing_reason: Some("subscription_cycle".to_owned()),
        status: InvoiceStatus::Paid,
        amount_paid: Some(1900),
        currency: Some("eur".to_owned()),
        livemode: false,
        created_at: at(2),
        updated_at: at(2),
    }
}

/// A refund of so much of a payment.
pub(crate) fn refund(id: &str, intent: &str, amount: i64) -> Refund {
    Refund {
        id: id.to_owned(),
        payment_intent: Some(intent.to_owned()),
        charge: None,
        amount,
        currency: Some("eur".to_owned()),
        status: RefundStatus::Succeeded,
        livemode: false,
        created_at: at(3),
        updated_at: at(3),
    }
}

/// A dispute about a payment.
pub(crate) fn dispute(id: &str, intent: &str, status: DisputeStatus) -> Dispute {
    Dispute {
        id: id.to_owned(),
        payment_intent: Some(intent.to_owned()),
        charge: None,
        amount: Some(1900),
        currency: Some("eur".to_owned()),
        reason: Some("fraudulent".to_owned()),
        status,
        livemode: false,
        created_at: at(4),
        updated_at: at(4),
    }
}
