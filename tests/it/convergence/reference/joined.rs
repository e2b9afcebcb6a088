//! Each object at its end: all accounts of it, sorted, and the last taken.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::super::history::{Kind, SessionStory, What, World, session_id, user_id};
use super::super::payments::{
    CURRENCY, DISPUTE, INVOICE, InvoiceShape, REFUND, SUBSCRIPTION, Second, SubscriptionState,
    charge_id, customer_id, customer_of, intent_id, subscription_id, time,
};

/// Who is named, since when.
type Named = Option<(Second, String)>;

/// All objects at their ends, each list in the order of the world's.
pub(super) struct Joined {
    /// Id and naming.
    customers: Vec<(String, (Second, String))>,
    pub(super) sessions: Vec<Session>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) invoices: Vec<Invoice>,
    pub(super) refunds: Vec<Refund>,
    pub(super) disputes: Vec<Dispute>,
    pub(super) charges: Vec<Charge>,
}

pub(super) struct Session {
    pub(super) id: String,
    pub(super) owner: Option<String>,
    named: Named,
    customer: Option<String>,
    pub(super) intent: Option<String>,
    pub(super) subscription: Option<String>,
    pub(super) mode: &'static str,
    pub(super) status: &'static str,
    pub(super) payment: &'static str,
    pub(super) amount: Option<i64>,
    pub(super) opened: Second,
    told: Second,
}

pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) owner: Option<String>,
    named: Named,
    customer: String,
    pub(super) status: &'static str,
    pub(super) last: SubscriptionState,
    pub(super) created: Second,
    told: Second,
}

pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) subscription: Option<String>,
    pub(super) intent: Option<String>,
    pub(super) reason: Option<&'static str>,
    pub(super) status: &'static str,
    pub(super) paid: i64,
    pub(super) created: Second,
    told: Second,
}

pub(super) struct Refund {
    id: String,
    pub(super) intent: Option<String>,
    pub(super) charge: Option<String>,
    pub(super) amount: i64,
    pub(super) currency: &'static str,
    pub(super) status: &'static str,
    pub(super) created: Second,
    pub(super) told: Second,
}

pub(super) struct Dispute {
    id: String,
    pub(super) intent: Option<String>,
    pub(super) status: &'static str,
    created: Second,
    told: Second,
}

pub(super) struct Charge {
    pub(super) id: String,
    pub(super) intent: Option<String>,
    pub(super) refunded: i64,
    created: Second,
    pub(super) told: Second,
}

impl Joined {
    pub(super) fn of(world: &World) -> Self {
        let payments = &world.payments;
        let mut joined = Self {
            customers: named_customers(&payments.customers),
            sessions: (0..).zip(&world.sessions).map(session).collect(),
            subscriptions: Vec::new(),
            invoices: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
            charges: Vec::new(),
        };
        for (n, story) in (0..).zip(&payments.subscriptions) {
            let mut accounts = story.tellings.clone();
            // The documented order, an end last.
            accounts.sort_by_key(|(at, told)| {
                let is_end =
                    ["incomplete_expired", "canceled"].contains(&SUBSCRIPTION[told.status]);
                let cancel = (told.cancel_at_period_end, told.cancel_at);
                (is_end, *at, told.status, told.period_end, cancel)
            });
            let (told, last) = accounts.pop().unwrap();
            let all = story.tellings.iter();
            let named = all.filter_map(|(at, told)| Some((*at, user_id(told.names?))));
            joined.subscriptions.push(Subscription {
                id: subscription_id(n),
                owner: None,
                named: named.min(),
                customer: customer_id(customer_of(n)),
                status: SUBSCRIPTION[last.status],
                last,
                created: story.created,
                told,
            });
        }
        for (n, story) in (0_u8..).zip(&payments.invoices) {
            let bill = &story.object;
            let shape = |wanted: [InvoiceShape; 2]| {
                let mut all = story.tellings.iter();
                all.any(|(_, told)| wanted.contains(&told.shape))
            };
            let of_invoice = shape([InvoiceShape::WithPayment, InvoiceShape::WithoutPayment]);
            let of_payment = shape([InvoiceShape::WithPayment, InvoiceShape::PaymentAlone]);
            let status = story.tellings.iter().map(|(_, told)| told.status).max();
            let status = INVOICE[status.unwrap()];
            joined.invoices.push(Invoice {
                id: format!("in_{n}"),
                subscription: bill
                    .subscription
                    .map(subscription_id)
                    .filter(|_| of_invoice),
                intent: bill.intent.map(intent_id).filter(|_| of_payment),
                reason: bill.reason().filter(|_| of_invoice),
                status,
                paid: if status == "paid" { bill.amount } else { 0 },
                created: story.created,
                told: last(story.tellings.iter().map(|(at, _)| *at)),
            });
        }
        for (n, story) in (0_u8..).zip(&payments.refunds) {
            let back = &story.object;
            let status = story.tellings.iter().map(|(_, status)| *status).max();
            let status = status.unwrap();
            let first = story.tellings.iter().filter(|(_, told)| *told == status);
            joined.refunds.push(Refund {
                id: format!("re_{n}"),
                intent: back.intent.map(intent_id),
                charge: back.charge.map(charge_id),
                amount: back.amount,
                currency: back.currency,
                status: REFUND[status],
                created: story.created,
                told: first.map(|(at, _)| *at).min().unwrap(),
            });
        }
        for (n, story) in (0_u8..).zip(&payments.disputes) {
            let (told, status) = *story.tellings.iter().max().unwrap();
            joined.disputes.push(Dispute {
                id: format!("dp_{n}"),
                intent: story.object.map(intent_id),
                status: DISPUTE[status],
                created: story.created,
                told,
            });
        }
        for (n, story) in (0..).zip(&payments.charges) {
            let (told, refunded) = *story.tellings.iter().max().unwrap();
            joined.charges.push(Charge {
                id: charge_id(n),
                intent: story.object.map(intent_id),
                refunded,
                created: story.created,
                told,
            });
        }
        joined.attribute();
        joined
    }

    /// By the table at `owners`, a row at a time.
    fn attribute(&mut self) {
        let owner_of_customer = |customer: &String| {
            let mut accounts: Vec<(Second, &String, &String)> = Vec::new();
            for (id, (at, user)) in &self.customers {
                if id == customer {
                    accounts.push((*at, id, user));
                }
            }
            for session in &self.sessions {
                if let (Some(of), Some((_, user))) = (&session.customer, &session.named)
                    && of == customer
                {
                    accounts.push((session.opened, &session.id, user));
                }
            }
            for subscription in &self.subscriptions {
                if let Some((_, user)) = &subscription.named
                    && subscription.customer == *customer
                {
                    accounts.push((subscription.created, &subscription.id, user));
                }
            }
            accounts.sort();
            accounts.first().map(|(_, _, user)| (*user).clone())
        };
        let of_sessions: Vec<Option<String>> = self
            .sessions
            .iter()
            .map(|session| {
                let named = session.named.as_ref().map(|(_, user)| user.clone());
                named.or_else(|| owner_of_customer(session.customer.as_ref()?))
            })
            .collect();
        let of_subscriptions: Vec<Option<String>> = self
            .subscriptions
            .iter()
            .map(|subscription| {
                let mut began: Vec<(Second, &String, &String)> = self
                    .sessions
                    .iter()
                    .filter(|session| session.subscription.as_ref() == Some(&subscription.id))
                    .filter_map(|session| {
                        let (_, user) = session.named.as_ref()?;
                        Some((session.opened, &session.id, user))
                    })
                    .collect();
                began.sort();
                let began = began.first().map(|(_, _, user)| (*user).clone());
                let named = || subscription.named.as_ref().map(|(_, user)| user.clone());
                began
                    .or_else(named)
                    .or_else(|| owner_of_customer(&subscription.customer))
            })
            .collect();
        for (session, owner) in self.sessions.iter_mut().zip(of_sessions) {
            session.owner = owner;
        }
        for (subscription, owner) in self.subscriptions.iter_mut().zip(of_subscriptions) {
            subscription.owner = owner;
        }
    }

    /// Everyone who has a session or a subscription.
    pub(super) fn owners(&self) -> BTreeSet<String> {
        let sessions = self.sessions.iter().map(|session| &session.owner);
        let subscriptions = self.subscriptions.iter().map(|known| &known.owner);
        sessions.chain(subscriptions).flatten().cloned().collect()
    }

    /// As the pipeline reads them.
    pub(super) fn rows(&self) -> BTreeSet<String> {
        let mut rows = BTreeSet::new();
        for (id, (at, user)) in &self.customers {
            rows.insert(format!("{id} {user} {}", time(*at)));
        }
        for of in &self.sessions {
            let (named_at, named) = naming(&of.named);
            let (owner, customer) = (or_nothing(&of.owner), or_nothing(&of.customer));
            let (intent, begun) = (or_nothing(&of.intent), or_nothing(&of.subscription));
            let (mode, status, payment) = (of.mode, of.status, of.payment);
            let amount = or_nothing(&of.amount);
            let currency = or_nothing(&of.amount.map(|_| CURRENCY));
            let (opened, told) = (time(of.opened), time(of.told));
            rows.insert(format!(
                "{} {owner} {named} {named_at} {customer} {intent} {begun} {mode} {status} \
                 {payment} {amount} {currency} {opened} {told}",
                of.id
            ));
        }
        for of in &self.subscriptions {
            let (named_at, named) = naming(&of.named);
            let (owner, status) = (or_nothing(&of.owner), of.status);
            let with_period = i32::from(of.last.cancel_at_period_end);
            let cancel_at = or_nothing(&of.last.cancel_at.map(time));
            let period_end = or_nothing(&of.last.period_end.map(time));
            let (created, told) = (time(of.created), time(of.told));
            rows.insert(format!(
                "{} {owner} {named} {named_at} {} {status} {with_period} {cancel_at} \
                 {period_end} {created} {told}",
                of.id, of.customer
            ));
        }
        for of in &self.invoices {
            let (begun, intent) = (or_nothing(&of.subscription), or_nothing(&of.intent));
            let (reason, status, paid) = (or_nothing(&of.reason), of.status, of.paid);
            let (created, told) = (time(of.created), time(of.told));
            rows.insert(format!(
                "{} {begun} {intent} {reason} {status} {paid} {created} {told}",
                of.id
            ));
        }
        for of in &self.refunds {
            let (intent, charge) = (or_nothing(&of.intent), or_nothing(&of.charge));
            let (amount, currency, status) = (of.amount, of.currency, of.status);
            let (created, told) = (time(of.created), time(of.told));
            rows.insert(format!(
                "{} {intent} {charge} {amount} {currency} {status} {created} {told}",
                of.id
            ));
        }
        for of in &self.disputes {
            let (intent, created) = (or_nothing(&of.intent), time(of.created));
            let (status, told) = (of.status, time(of.told));
            rows.insert(format!("{} {intent} {status} {created} {told}", of.id));
        }
        for of in &self.charges {
            let (intent, refunded) = (or_nothing(&of.intent), of.refunded);
            let (created, told) = (time(of.created), time(of.told));
            rows.insert(format!(
                "{} {intent} 100 {refunded} {created} {told}",
                of.id
            ));
        }
        rows
    }
}

fn or_nothing(value: &Option<impl Display>) -> String {
    value.as_ref().map_or("-".to_owned(), ToString::to_string)
}

fn naming(named: &Named) -> (String, String) {
    let nothing = || "-".to_owned();
    named.as_ref().map_or_else(
        || (nothing(), nothing()),
        |(at, user)| (time(*at).to_string(), user.clone()),
    )
}

fn last(times: impl Iterator<Item = Second>) -> Second {
    times.max().unwrap()
}

fn named_customers(tellings: &[Vec<(Second, u8)>]) -> Vec<(String, (Second, String))> {
    let earliest = |tellings: &Vec<(Second, u8)>| {
        let namings = tellings.iter();
        namings.map(|(at, names)| (*at, user_id(*names))).min()
    };
    (0..)
        .zip(tellings)
        .filter_map(|(n, tellings)| Some((customer_id(n), earliest(tellings)?)))
        .collect()
}

fn session((n, story): (usize, &SessionStory)) -> Session {
    let told = |kinds: &[Kind]| {
        let mut all = story.tellings.iter();
        all.any(|telling| kinds.contains(&telling.kind))
    };
    let complete = story
        .tellings
        .iter()
        .any(|telling| telling.kind != Kind::Expired);
    let payment = if told(&[Kind::Paid, Kind::Succeeded]) {
        "paid"
    } else if told(&[Kind::NothingDue]) {
        "no_payment_required"
    } else if told(&[Kind::Failed]) {
        "failed"
    } else {
        "unpaid"
    };
    let (mode, intent, subscription) = match story.what {
        What::OneOff(intent) => ("payment", intent, None),
        What::Subscription(subscription) => ("subscription", None, Some(subscription)),
        What::SavedCard => ("setup", None, None),
    };
    let named = story
        .tellings
        .iter()
        .filter_map(|telling| Some((telling.at, user_id(telling.names?))));
    Session {
        id: session_id(n),
        owner: None,
        named: named.min(),
        customer: story.customer.map(customer_id),
        intent: intent.map(intent_id).filter(|_| complete),
        subscription: subscription.map(subscription_id).filter(|_| complete),
        mode,
        status: if complete { "complete" } else { "expired" },
        payment,
        amount: story.amount,
        opened: story.opened_at,
        told: last(story.tellings.iter().map(|telling| telling.at)),
    }
}
