//! Everything at Stripe but checkouts: objects, and what is told of each. A telling is one account of
//! one object, as one event gives it; few ids and fewer seconds, so that everything hangs together
//! and ties are the rule.

use hookmirror::model::payment::{
    Charge, Customer, Dispute, DisputeStatus, Fact, Invoice, InvoiceStatus, NamedUser, Refund,
    RefundStatus, Subscription, SubscriptionStatus,
};
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;

use super::history::{BEGIN, user_id};

/// Seconds after the beginning.
pub(super) type Second = i64;

/// Stripe's words, from the first to the last of a second.
pub(super) const SUBSCRIPTION: [&str; 8] = [
    "incomplete",
    "trialing",
    "paused",
    "active",
    "past_due",
    "unpaid",
    "incomplete_expired",
    "canceled",
];
pub(super) const INVOICE: [&str; 4] = ["open", "uncollectible", "void", "paid"];
pub(super) const REFUND: [&str; 5] = [
    "pending",
    "requires_action",
    "succeeded",
    "canceled",
    "failed",
];
pub(super) const DISPUTE: [&str; 8] = [
    "warning_needs_response",
    "warning_under_review",
    "needs_response",
    "under_review",
    "warning_closed",
    "prevented",
    "won",
    "lost",
];
pub(super) const REASONS: [Option<&str>; 4] = [
    None,
    Some("subscription_create"),
    Some("subscription_cycle"),
    Some("subscription_update"),
];
pub(super) const CURRENCY: &str = "eur";

/// An object whose status changes.
#[derive(Clone, Debug)]
pub(super) struct Story<O, T = usize> {
    pub(super) object: O,
    pub(super) created: Second,
    /// When, and what.
    pub(super) tellings: Vec<(Second, T)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Payments {
    /// Of each customer, who it is said to be.
    pub(super) customers: Vec<Vec<(Second, u8)>>,
    pub(super) subscriptions: Vec<Story<(), SubscriptionState>>,
    pub(super) invoices: Vec<Story<Bill, InvoiceState>>,
    /// Statuses are places in the lists above.
    pub(super) refunds: Vec<Story<Back>>,
    pub(super) disputes: Vec<Story<Option<u8>>>,
    /// What of the charge was refunded.
    pub(super) charges: Vec<Story<Option<u8>, i64>>,
}

#[derive(Clone, Debug)]
pub(super) struct SubscriptionState {
    pub(super) status: usize,
    pub(super) names: Option<u8>,
    pub(super) cancel_at_period_end: bool,
    pub(super) cancel_at: Option<Second>,
    pub(super) period_end: Option<Second>,
}

#[derive(Clone, Debug)]
pub(super) struct Bill {
    pub(super) subscription: Option<u8>,
    pub(super) intent: Option<u8>,
    pub(super) reason: usize,
    pub(super) amount: i64,
}

#[derive(Clone, Debug)]
pub(super) struct InvoiceState {
    pub(super) status: usize,
    pub(super) shape: InvoiceShape,
}

/// Which of Stripe's API versions speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvoiceShape {
    /// An older one: the invoice names its payment.
    WithPayment,
    /// A newer one: it does not …
    WithoutPayment,
    /// … and another event tells of nothing else.
    PaymentAlone,
}

#[derive(Clone, Debug)]
pub(super) struct Back {
    pub(super) intent: Option<u8>,
    pub(super) charge: Option<u8>,
    pub(super) amount: i64,
    pub(super) currency: &'static str,
}

pub(super) fn time(second: Second) -> Timestamp {
    Timestamp::from_seconds(BEGIN + second)
}

pub(super) fn customer_id(customer: u8) -> String {
    format!("cus_{customer}")
}

/// Whose a subscription is at Stripe. Its checkouts say the same.
pub(super) fn customer_of(subscription: u8) -> u8 {
    subscription % 2
}

pub(super) fn subscription_id(subscription: u8) -> String {
    format!("sub_{subscription}")
}

pub(super) fn intent_id(intent: u8) -> String {
    format!("pi_{intent}")
}

pub(super) fn charge_id(charge: u8) -> String {
    format!("ch_{charge}")
}

impl Bill {
    pub(super) fn reason(&self) -> Option<&'static str> {
        REASONS[self.reason]
    }
}

fn named(names: u8, at: Second) -> NamedUser {
    NamedUser {
        at: time(at),
        id: UserId::parse(&user_id(names)).unwrap(),
    }
}

impl Payments {
    /// All accounts, each with the id of its event.
    pub(super) fn facts(&self) -> Vec<(String, Fact)> {
        let mut facts = Vec::new();
        let mut tell = |kind: &str, n: u8, place: usize, fact| {
            facts.push((format!("evt_{kind}_{n}_{place}"), fact));
        };
        for (n, tellings) in (0..).zip(&self.customers) {
            for (place, (at, names)) in tellings.iter().enumerate() {
                let fact = Customer {
                    id: customer_id(n),
                    named_user: named(*names, *at),
                };
                tell("cus", n, place, Fact::Customer(fact));
            }
        }
        for (n, story) in (0..).zip(&self.subscriptions) {
            for (place, (at, state)) in story.tellings.iter().enumerate() {
                tell("sub", n, place, story.fact(n, *at, state));
            }
        }
        for (n, story) in (0..).zip(&self.invoices) {
            for (place, (at, state)) in story.tellings.iter().enumerate() {
                tell("in", n, place, story.fact(n, *at, state));
            }
        }
        for (n, story) in (0..).zip(&self.refunds) {
            for (place, (at, status)) in story.tellings.iter().enumerate() {
                tell("re", n, place, story.fact(n, *at, *status));
            }
        }
        for (n, story) in (0..).zip(&self.disputes) {
            for (place, (at, status)) in story.tellings.iter().enumerate() {
                tell("dp", n, place, story.fact(n, *at, *status));
            }
        }
        for (n, story) in (0..).zip(&self.charges) {
            for (place, (at, refunded)) in story.tellings.iter().enumerate() {
                tell("ch", n, place, story.fact(n, *at, *refunded));
            }
        }
        facts
    }
}

impl Story<(), SubscriptionState> {
    fn fact(&self, n: u8, at: Second, state: &SubscriptionState) -> Fact {
        Fact::Subscription(Subscription {
            id: subscription_id(n),
            named_user: state.names.map(|names| named(names, at)),
            attributed_user: None,
            customer: Some(customer_id(customer_of(n))),
            status: SubscriptionStatus::parse(SUBSCRIPTION[state.status]).unwrap(),
            cancel_at_period_end: state.cancel_at_period_end,
            cancel_at: state.cancel_at.map(time),
            current_period_end: state.period_end.map(time),
            livemode: false,
            created_at: time(self.created),
            updated_at: time(at),
        })
    }
}

impl Story<Bill, InvoiceState> {
    fn fact(&self, n: u8, at: Second, state: &InvoiceState) -> Fact {
        let bill = &self.object;
        let tells_of_invoice = state.shape != InvoiceShape::PaymentAlone;
        let tells_of_payment = state.shape != InvoiceShape::WithoutPayment;
        let status = InvoiceStatus::parse(INVOICE[state.status]).unwrap();
        let paid = if status == InvoiceStatus::Paid {
            bill.amount
        } else {
            0
        };
        Fact::Invoice(Invoice {
            id: format!("in_{n}"),
            subscription: bill
                .subscription
                .map(subscription_id)
                .filter(|_| tells_of_invoice),
            payment_intent: bill.intent.map(intent_id).filter(|_| tells_of_payment),
            billing_reason: bill
                .reason()
                .map(ToOwned::to_owned)
                .filter(|_| tells_of_invoice),
            status,
            amount_paid: Some(paid),
            currency: Some(CURRENCY.to_owned()),
            livemode: false,
            created_at: time(self.created),
            updated_at: time(at),
        })
    }
}

impl Story<Back> {
    fn fact(&self, n: u8, at: Second, status: usize) -> Fact {
        Fact::Refund(Refund {
            id: format!("re_{n}"),
            payment_intent: self.object.intent.map(intent_id),
            charge: self.object.charge.map(charge_id),
            amount: self.object.amount,
            currency: Some(self.object.currency.to_owned()),
            status: RefundStatus::parse(REFUND[status]).unwrap(),
            livemode: false,
            created_at: time(self.created),
            updated_at: time(at),
        })
    }
}

impl Story<Option<u8>> {
    fn fact(&self, n: u8, at: Second, status: usize) -> Fact {
        Fact::Dispute(Dispute {
            id: format!("dp_{n}"),
            payment_intent: self.object.map(intent_id),
            charge: None,
            amount: None,
            currency: None,
            reason: None,
            status: DisputeStatus::parse(DISPUTE[status]).unwrap(),
            livemode: false,
            created_at: time(self.created),
            updated_at: time(at),
        })
    }
}

impl Story<Option<u8>, i64> {
    fn fact(&self, n: u8, at: Second, refunded: i64) -> Fact {
        Fact::Charge(Charge {
            id: charge_id(n),
            payment_intent: self.object.map(intent_id),
            amount: 100,
            amount_refunded: refunded,
            currency: Some(CURRENCY.to_owned()),
            livemode: false,
            created_at: time(self.created),
            updated_at: time(at),
        })
    }
}
