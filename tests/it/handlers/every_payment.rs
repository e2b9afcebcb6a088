//! The facts in Stripe's fixtures, other than Checkout Sessions, written out.

use hookmirror::model::payment::{
    Charge, Customer, Dispute, DisputeStatus, Fact, Invoice, InvoiceStatus, NamedUser, Refund,
    RefundStatus, Subscription, SubscriptionStatus,
};

use super::every_fixture::{some, time, user_id};
use crate::fixtures::CUSTOMER;

/// The first checkout's payment, whose refund fails.
const SUBSCRIBED: &str = "sub_1SW9DaLmQ8rTzXwYd2Fk8RvC";
const REFUNDED: &str = "pi_3SVnK2LmQ8rTzXwY1aJtGv7N";
/// The second checkout's, which is disputed.
const DISPUTED: &str = "pi_3SVqZ4LmQ8rTzXwY0dRkMh2C";
/// The subscription's.
const RENEWED: &str = "pi_3SXYQhLmQ8rTzXwY1wFz6KpS";
const TRIAL_END: &str = "2026-11-09T08:00:00Z";
const PERIOD_END: &str = "2026-12-09T18:30:00Z";

fn named_at(told: &str) -> NamedUser {
    NamedUser {
        at: time(told),
        id: user_id(),
    }
}

fn subscription(status: SubscriptionStatus, period_end: &str, told: &str) -> Subscription {
    Subscription {
        id: SUBSCRIBED.to_owned(),
        named_user: Some(named_at(told)),
        attributed_user: None,
        customer: some(CUSTOMER),
        status,
        cancel_at_period_end: false,
        cancel_at: None,
        current_period_end: Some(time(period_end)),
        livemode: false,
        created_at: time("2026-11-06T08:00:00Z"),
        updated_at: time(told),
    }
}

fn invoice(status: InvoiceStatus, amount_paid: i64, told: &str) -> Invoice {
    Invoice {
        id: "in_1SXYQeLmQ8rTzXwYg5Ln3TbM".to_owned(),
        subscription: some(SUBSCRIBED),
        payment_intent: None,
        billing_reason: some("subscription_cycle"),
        status,
        amount_paid: Some(amount_paid),
        currency: some("eur"),
        livemode: false,
        created_at: time("2026-11-09T18:30:00Z"),
        updated_at: time(told),
    }
}

fn refund(status: RefundStatus, told: &str) -> Refund {
    Refund {
        id: "re_3SVnK2LmQ8rTzXwY1tq8NdWc".to_owned(),
        payment_intent: some(REFUNDED),
        charge: some("ch_3SVnK2LmQ8rTzXwY1m4RcPzT"),
        amount: 4900,
        currency: some("eur"),
        status,
        livemode: false,
        created_at: time("2026-11-05T10:41:07Z"),
        updated_at: time(told),
    }
}

fn charge() -> Charge {
    Charge {
        id: "ch_3SVnK2LmQ8rTzXwY1m4RcPzT".to_owned(),
        payment_intent: some(REFUNDED),
        amount: 4900,
        amount_refunded: 4900,
        currency: some("eur"),
        livemode: false,
        created_at: time("2026-11-02T09:34:58Z"),
        updated_at: time("2026-11-05T10:41:08Z"),
    }
}

fn dispute(status: DisputeStatus, told: &str) -> Dispute {
    Dispute {
        id: "du_1SXtM9LmQ8rTzXwYp4HqZc6L".to_owned(),
        payment_intent: some(DISPUTED),
        charge: some("py_3SVqZ4LmQ8rTzXwY0kLw7XbG"),
        amount: Some(4900),
        currency: some("eur"),
        reason: some("product_not_received"),
        status,
        livemode: false,
        created_at: time("2026-11-08T14:20:05Z"),
        updated_at: time(told),
    }
}

/// What a fixture is filed under, and the fact in it.
pub(super) fn expected(event_type: &str) -> Option<(&'static str, Fact)> {
    use SubscriptionStatus::{Active, Canceled, Paused, Trialing};
    let by_customer = |fact| (CUSTOMER, fact);
    let subscribed = |status, period_end, told| {
        let known = subscription(status, period_end, told);
        (SUBSCRIBED, Fact::Subscription(known))
    };
    let refunded = |status, told| (REFUNDED, Fact::Refund(refund(status, told)));
    let disputed = |status, told| (DISPUTED, Fact::Dispute(dispute(status, told)));
    Some(match event_type {
        "customer.updated" => by_customer(Fact::Customer(Customer {
            id: CUSTOMER.to_owned(),
            named_user: named_at("2026-11-02T09:35:03Z"),
        })),
        "customer.subscription.created" | "customer.subscription.trial_will_end" => {
            subscribed(Trialing, TRIAL_END, "2026-11-06T08:00:01Z")
        }
        "customer.subscription.paused" => subscribed(Paused, TRIAL_END, "2026-11-09T08:00:02Z"),
        "customer.subscription.resumed" => subscribed(Active, PERIOD_END, "2026-11-09T18:30:01Z"),
        "customer.subscription.pending_update_expired" => {
            subscribed(Active, PERIOD_END, "2026-11-10T20:05:11Z")
        }
        "customer.subscription.pending_update_applied" => {
            subscribed(Active, PERIOD_END, "2026-11-11T18:52:40Z")
        }
        "customer.subscription.updated" => (
            SUBSCRIBED,
            Fact::Subscription(Subscription {
                cancel_at_period_end: true,
                cancel_at: Some(time(PERIOD_END)),
                ..subscription(Active, PERIOD_END, "2026-11-15T11:08:26Z")
            }),
        ),
        "customer.subscription.deleted" => subscribed(Canceled, PERIOD_END, "2026-11-19T09:15:37Z"),
        "invoice.payment_failed" => by_customer(Fact::Invoice(invoice(
            InvoiceStatus::Open,
            0,
            "2026-11-09T18:30:04Z",
        ))),
        "invoice.payment_succeeded" => by_customer(Fact::Invoice(Invoice {
            payment_intent: some(RENEWED),
            ..invoice(InvoiceStatus::Paid, 1900, "2026-11-09T18:34:12Z")
        })),
        "invoice.paid" => by_customer(Fact::Invoice(invoice(
            InvoiceStatus::Paid,
            1900,
            "2026-11-09T18:34:12Z",
        ))),
        "invoice_payment.paid" => (
            RENEWED,
            Fact::Invoice(Invoice {
                subscription: None,
                payment_intent: some(RENEWED),
                billing_reason: None,
                created_at: time("2026-11-09T18:30:02Z"),
                ..invoice(InvoiceStatus::Open, 1900, "2026-11-09T18:34:12Z")
            }),
        ),
        "refund.created" => refunded(RefundStatus::Pending, "2026-11-05T10:41:08Z"),
        "refund.updated" | "charge.refund.updated" => {
            refunded(RefundStatus::Succeeded, "2026-11-06T03:12:44Z")
        }
        "refund.failed" => refunded(RefundStatus::Failed, "2026-11-09T07:55:31Z"),
        "charge.refunded" => by_customer(Fact::Charge(charge())),
        "charge.dispute.created" | "charge.dispute.funds_withdrawn" => {
            disputed(DisputeStatus::NeedsResponse, "2026-11-08T14:20:06Z")
        }
        "charge.dispute.updated" => disputed(DisputeStatus::UnderReview, "2026-11-09T15:02:31Z"),
        "charge.dispute.closed" => disputed(DisputeStatus::Won, "2026-11-18T08:47:19Z"),
        "charge.dispute.funds_reinstated" => disputed(DisputeStatus::Won, "2026-11-18T08:47:20Z"),
        _ => return None,
    })
}
