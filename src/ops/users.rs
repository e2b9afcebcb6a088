//! One user's payments put together: which facts belong to which purchase, and which purchase decides.

use std::collections::BTreeMap;

use crate::model::entitlement::purchase::Purchase;
use crate::model::ledger::UserReport;
use crate::model::payment::{Fact, Facts};
use crate::model::time::Timestamp;

/// A purchase with the facts that it consists of.
#[derive(Clone, Debug)]
pub struct PurchaseFacts<'r> {
    /// The purchase and the verdict on it.
    pub purchase: &'r Purchase,
    /// Whether what the user is entitled to follows from it.
    pub decides: bool,
    /// Its facts, oldest first.
    pub facts: Vec<Fact>,
}

/// All that is known of a user's payments, in an order to be read.
#[derive(Clone, Debug)]
pub struct Payments<'r> {
    /// The purchases, oldest first.
    pub purchases: Vec<PurchaseFacts<'r>>,
    /// Facts of this user that belong to no purchase, and change nothing.
    pub others: Vec<Fact>,
    /// Why the one that decides does, in words; `None` if none does.
    pub because: Option<String>,
}

/// Puts the facts of a user together.
pub fn payments(report: &UserReport) -> Payments<'_> {
    let places = Places::of(&report.purchases, &report.facts);
    let mut purchases: Vec<PurchaseFacts<'_>> = report
        .purchases
        .iter()
        .map(|purchase| PurchaseFacts {
            purchase,
            decides: decides(report, purchase),
            facts: Vec::new(),
        })
        .collect();
    let mut others = Vec::new();
    for fact in report.facts.iter() {
        match places.find(&fact) {
            Place::Purchase(place) => purchases[place].facts.push(fact),
            Place::None => others.push(fact),
            Place::NotShown => {}
        }
    }
    let all = purchases.iter_mut().map(|purchase| &mut purchase.facts);
    for facts in all.chain([&mut others]) {
        facts.sort_by_key(|fact| (began_at(fact), fact.kind()));
    }
    Payments {
        because: because(&purchases),
        purchases,
        others,
    }
}

/// When what the fact is about began. Customers have no such time.
pub fn began_at(fact: &Fact) -> Timestamp {
    match fact {
        Fact::CheckoutSession(fact) => fact.created_at,
        Fact::Subscription(fact) => fact.created_at,
        Fact::Invoice(fact) => fact.created_at,
        Fact::Charge(fact) => fact.created_at,
        Fact::Refund(fact) => fact.created_at,
        Fact::Dispute(fact) => fact.created_at,
        Fact::Customer(fact) => fact.named_user.at,
    }
}

fn decides(report: &UserReport, purchase: &Purchase) -> bool {
    report.entitlement.as_ref().is_some_and(|entitlement| {
        entitlement.checkout_session_id == purchase.checkout_session_id
            && entitlement.subscription_id == purchase.subscription_id
    })
}

/// As [`decide`](crate::model::entitlement::decide) has it.
fn because(purchases: &[PurchaseFacts<'_>]) -> Option<String> {
    let deciding = purchases.iter().find(|purchase| purchase.decides)?;
    let giving = purchases.iter().filter(|other| other.purchase.paid);
    let text = match (purchases.len(), deciding.purchase.paid, giving.count()) {
        (1, _, _) => "the only purchase".to_owned(),
        (_, true, 1) => "the only one that gives access".to_owned(),
        (_, true, giving) => format!("the newest of {giving} that give access"),
        (all, false, _) => {
            format!("none of {all} gives access; the newest that was finished decides")
        }
    };
    Some(text)
}

enum Place {
    Purchase(usize),
    None,
    /// It is shown elsewhere.
    NotShown,
}

/// Which purchase each thing belongs to, by place in the list of purchases.
struct Places<'r> {
    sessions: BTreeMap<&'r str, usize>,
    subscriptions: BTreeMap<&'r str, usize>,
    intents: BTreeMap<&'r str, usize>,
}

impl<'r> Places<'r> {
    fn of(purchases: &'r [Purchase], facts: &'r Facts) -> Self {
        let mut places = Self {
            sessions: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            intents: BTreeMap::new(),
        };
        for (place, purchase) in purchases.iter().enumerate() {
            match (&purchase.subscription_id, &purchase.checkout_session_id) {
                (Some(subscription), _) => places.subscriptions.insert(subscription, place),
                (None, Some(session)) => places.sessions.insert(session, place),
                (None, None) => None,
            };
        }
        for session in facts.sessions.values() {
            let begun = session.subscription.as_deref();
            let place = begun.and_then(|id| places.subscriptions.get(id)).copied();
            if let Some(place) = place {
                places.sessions.insert(&session.id, place);
            }
            let place = places.sessions.get(session.id.as_str()).copied();
            places.pay(session.payment_intent.as_deref(), place);
        }
        for invoice in facts.invoices.values() {
            let of = invoice.subscription.as_deref();
            let place = of.and_then(|id| places.subscriptions.get(id)).copied();
            places.pay(invoice.payment_intent.as_deref(), place);
        }
        places
    }

    fn pay(&mut self, intent: Option<&'r str>, place: Option<usize>) {
        if let (Some(intent), Some(place)) = (intent, place) {
            self.intents.insert(intent, place);
        }
    }

    fn find(&self, fact: &Fact) -> Place {
        let intent = |intent: &Option<String>| self.intents.get(intent.as_deref()?);
        let place = match fact {
            Fact::CheckoutSession(fact) => self.sessions.get(fact.id.as_str()),
            Fact::Subscription(fact) => self.subscriptions.get(fact.id.as_str()),
            Fact::Invoice(fact) => {
                let of = fact.subscription.as_deref();
                of.and_then(|id| self.subscriptions.get(id))
            }
            Fact::Charge(fact) => intent(&fact.payment_intent),
            Fact::Refund(fact) => intent(&fact.payment_intent),
            Fact::Dispute(fact) => intent(&fact.payment_intent),
            Fact::Customer(_) => return Place::NotShown,
        };
        place.copied().map_or(Place::None, Place::Purchase)
    }
}
