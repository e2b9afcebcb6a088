//! Whose a payment is. Never derived from an e-mail address.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Fact, Facts};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// The users whom sessions and subscriptions belong to, by the id of these. Who is not here is
/// nobody's, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Of Checkout Sessions.
    pub sessions: BTreeMap<String, UserId>,
    /// Of subscriptions.
    pub subscriptions: BTreeMap<String, UserId>,
}

/// Whose each session and each subscription is.
///
/// | a … belongs to | the first of these that there is |
/// | --- | --- |
/// | session | the user a person gave it to · the user it names · the owner of its customer |
/// | subscription | the user a person gave it to · the user of the oldest session that began it and has one of its own · the user it names · the owner of its customer |
/// | customer | the user of the oldest account that names one: the customer's own, or that of one of its sessions or subscriptions |
///
/// `facts` must hold every session and subscription of the customers in question.
pub fn owners(facts: &Facts) -> Owners {
    let customers = owners_of_customers(facts);
    let by_customer = |customer: &Option<String>| {
        let customer = customer.as_ref()?;
        customers.get(customer.as_str()).copied()
    };

    let mut began: BTreeMap<&str, (Timestamp, &str, &UserId)> = BTreeMap::new();
    let mut owners = Owners::default();
    for session in facts.sessions.values() {
        if let (Some(user), Some(subscription)) = (session.own_user(), &session.subscription) {
            let candidate = (session.created_at, session.id.as_str(), user);
            oldest(&mut began, subscription, candidate);
        }
        let owner = session
            .own_user()
            .or_else(|| by_customer(&session.customer));
        if let Some(owner) = owner {
            owners.sessions.insert(session.id.clone(), owner.clone());
        }
    }
    for subscription in facts.subscriptions.values() {
        let given = subscription.attributed_user.as_ref().map(|user| &user.id);
        let owner = given
            .or_else(|| {
                began
                    .get(subscription.id.as_str())
                    .map(|(_, _, user)| *user)
            })
            .or_else(|| subscription.own_user())
            .or_else(|| by_customer(&subscription.customer));
        if let Some(owner) = owner {
            let id = subscription.id.clone();
            owners.subscriptions.insert(id, owner.clone());
        }
    }
    owners
}

/// Whose a customer is, and what says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerLink {
    /// Stripe's customer.
    pub customer: String,
    /// Whose it is.
    pub user: UserId,
    /// The oldest account that names a user: the customer itself, or one of its sessions or
    /// subscriptions.
    pub known_by: String,
}

/// Whose each customer is, by the table at [`owners`]. Customers of nobody are left out.
pub fn customer_links(facts: &Facts) -> Vec<CustomerLink> {
    let links = namings_of_customers(facts).into_iter();
    links
        .map(|(customer, (_, known_by, user))| CustomerLink {
            customer: customer.to_owned(),
            user: user.clone(),
            known_by: known_by.to_owned(),
        })
        .collect()
}

fn owners_of_customers(facts: &Facts) -> BTreeMap<&str, &UserId> {
    namings_of_customers(facts)
        .into_iter()
        .map(|(customer, (_, _, user))| (customer, user))
        .collect()
}

/// The oldest account that names a user, by customer: when it is from, what it is, and whom it names.
fn namings_of_customers(facts: &Facts) -> BTreeMap<&str, (Timestamp, &str, &UserId)> {
    let mut named: BTreeMap<&str, (Timestamp, &str, &UserId)> = BTreeMap::new();
    for customer in facts.customers.values() {
        let candidate = (
            customer.named_user.at,
            customer.id.as_str(),
            &customer.named_user.id,
        );
        oldest(&mut named, &customer.id, candidate);
    }
    for session in facts.sessions.values() {
        if let (Some(customer), Some(user)) = (&session.customer, session.own_user()) {
            let candidate = (session.created_at, session.id.as_str(), user);
            oldest(&mut named, customer, candidate);
        }
    }
    for subscription in facts.subscriptions.values() {
        if let (Some(customer), Some(user)) = (&subscription.customer, subscription.own_user()) {
            let candidate = (subscription.created_at, subscription.id.as_str(), user);
            oldest(&mut named, customer, candidate);
        }
    }
    named
}

fn oldest<'a, T: Ord + Copy>(known: &mut BTreeMap<&'a str, T>, key: &'a str, candidate: T) {
    let oldest = known.entry(key).or_insert(candidate);
    *oldest = candidate.min(*oldest);
}

/// Parts facts by the user whose they are. What belongs to nobody is left out.
///
/// An invoice is its subscription's; a charge, a refund or a dispute is that of the session or the
/// invoice with the same payment intent.
pub fn by_user(facts: &Facts, owners: &Owners) -> BTreeMap<UserId, Facts> {
    let mut parts: BTreeMap<UserId, Facts> = BTreeMap::new();
    let mut intents: BTreeMap<&str, Vec<&UserId>> = BTreeMap::new();
    let mut give = |user: &UserId, fact: Fact| parts.entry(user.clone()).or_default().join(fact);

    for session in facts.sessions.values() {
        if let Some(user) = owners.sessions.get(&session.id) {
            give(user, Fact::CheckoutSession(session.clone()));
            let intent = session.payment_intent.as_deref();
            intents
                .entry(intent.unwrap_or_default())
                .or_default()
                .push(user);
        }
    }
    for subscription in facts.subscriptions.values() {
        if let Some(user) = owners.subscriptions.get(&subscription.id) {
            give(user, Fact::Subscription(subscription.clone()));
        }
    }
    for invoice in facts.invoices.values() {
        let subscription = invoice.subscription.as_ref();
        if let Some(user) = subscription.and_then(|id| owners.subscriptions.get(id)) {
            give(user, Fact::Invoice(invoice.clone()));
            let intent = invoice.payment_intent.as_deref();
            intents
                .entry(intent.unwrap_or_default())
                .or_default()
                .push(user);
        }
    }

    // Under the empty text stand those who have no intent.
    intents.remove("");
    let payers = |intent: &Option<String>| {
        let intent = intent.as_deref().unwrap_or_default();
        intents.get(intent).into_iter().flatten().copied()
    };
    for charge in facts.charges.values() {
        payers(&charge.payment_intent).for_each(|user| give(user, Fact::Charge(charge.clone())));
    }
    for refund in facts.refunds.values() {
        payers(&refund.payment_intent).for_each(|user| give(user, Fact::Refund(refund.clone())));
    }
    for dispute in facts.disputes.values() {
        payers(&dispute.payment_intent).for_each(|user| give(user, Fact::Dispute(dispute.clone())));
    }
    parts
}
