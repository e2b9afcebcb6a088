//! Which ids belong to one story: from any of them to all of them.
//!
//! A payment leads to its session, its invoice and its subscription, these lead to their user, and the
//! user leads to everything that is theirs. A customer leads to whom it belongs to: a stranger's
//! payment by the same customer is the stranger's.

use std::collections::BTreeSet;

use super::facts::{Selection, Stored};
use super::fold::payments::Attributed;
use super::problem::ApplyError;
use super::related::of_user;
use super::tables::Tables;
use crate::model::payment::{Fact, FactKind, customer_links};
use crate::model::user::UserId;

/// What Stripe's ids of customers begin with.
const CUSTOMER: &str = "cus_";

/// The ids of one story.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Story {
    /// Whose it is.
    pub(super) users: BTreeSet<UserId>,
    /// The users, and everything of Stripe's: what events and deeds can be about.
    pub(super) subjects: BTreeSet<String>,
}

/// The story that this id belongs to; that of an id which nothing is known of is about nothing else.
pub(super) async fn story(tables: &mut dyn Tables, id: &str) -> Result<Story, ApplyError> {
    let mut story = Story::default();
    story.subjects.insert(id.to_owned());
    match UserId::parse(id).filter(UserId::is_clerk_form) {
        Some(user) => {
            story.users.insert(user);
        }
        None => follow(tables, id, &mut story).await?,
    }
    for user in story.users.clone() {
        let (facts, links) = of_user(tables, &user).await?;
        for fact in facts.iter() {
            story.subjects.extend(names(&fact));
        }
        let theirs = links.into_iter().filter(|link| link.user == user);
        story.subjects.extend(theirs.map(|link| link.customer));
        let named = BTreeSet::from([user.to_string()]);
        let selection = Selection::of(FactKind::Customer, &[("named_user_id", &named)]);
        let customers = tables.read_facts(&selection).await?;
        let customers = customers.iter().map(|stored| stored.fact.id().to_owned());
        story.subjects.extend(customers);
        story.subjects.insert(user.to_string());
    }
    Ok(story)
}

/// From an id of Stripe's to what it hangs together with, and to whose it is.
async fn follow(tables: &mut dyn Tables, id: &str, story: &mut Story) -> Result<(), ApplyError> {
    let mut new = BTreeSet::from([id.to_owned()]);
    if id.starts_with(CUSTOMER) {
        let known = of_customer(tables, id).await?;
        let links = customer_links(&known.facts).into_iter();
        let owner = links
            .filter(|link| link.customer == id)
            .map(|link| link.user);
        story.users.extend(owner);
        if !story.users.is_empty() {
            return Ok(());
        }
        new.extend(known.facts.iter().flat_map(|fact| names(&fact)));
    }
    let mut customers = BTreeSet::new();
    while !new.is_empty() {
        story.subjects.extend(new.iter().cloned());
        let mut found = BTreeSet::new();
        for selection in naming(&new) {
            for Stored { fact, owner } in tables.read_facts(&selection).await? {
                story.users.extend(owner);
                found.extend(names(&fact));
                customers.extend(customer(&fact));
            }
        }
        new = found.difference(&story.subjects).cloned().collect();
    }
    // Nobody's so far: nor is its customer anybody's.
    if story.users.is_empty() {
        story.subjects.append(&mut customers);
    }
    Ok(())
}

/// Everything that this customer has bought, and what it says itself.
async fn of_customer(tables: &mut dyn Tables, id: &str) -> Result<Attributed, ApplyError> {
    let id = BTreeSet::from([id.to_owned()]);
    let mut found = Attributed::default();
    for (kind, column) in [
        (FactKind::CheckoutSession, "customer"),
        (FactKind::Subscription, "customer"),
        (FactKind::Customer, "id"),
    ] {
        let selection = Selection::of(kind, &[(column, &id)]);
        found.extend(tables.read_facts(&selection).await?);
    }
    Ok(found)
}

/// The facts that one of these ids names, or that name one of them. Stripe's ids say what they are of,
/// so one set will do for all columns.
fn naming(ids: &BTreeSet<String>) -> [Selection; 6] {
    let of = |kind, columns: &[&'static str]| {
        let any_of: Vec<_> = columns.iter().map(|column| (*column, ids)).collect();
        Selection::of(kind, &any_of)
    };
    [
        of(
            FactKind::CheckoutSession,
            &["id", "payment_intent", "subscription"],
        ),
        of(FactKind::Subscription, &["id"]),
        of(FactKind::Invoice, &["id", "payment_intent", "subscription"]),
        of(FactKind::Charge, &["id", "payment_intent"]),
        of(FactKind::Refund, &["id", "payment_intent"]),
        of(FactKind::Dispute, &["id", "payment_intent"]),
    ]
}

/// The ids that a fact goes by or connects, but for its customer's.
fn names(fact: &Fact) -> BTreeSet<String> {
    let (intent, other) = match fact {
        Fact::CheckoutSession(session) => (&session.payment_intent, &session.subscription),
        Fact::Invoice(invoice) => (&invoice.payment_intent, &invoice.subscription),
        Fact::Charge(charge) => (&charge.payment_intent, &None),
        Fact::Refund(refund) => (&refund.payment_intent, &refund.charge),
        Fact::Dispute(dispute) => (&dispute.payment_intent, &dispute.charge),
        Fact::Subscription(_) | Fact::Customer(_) => (&None, &None),
    };
    let named = [intent, other].into_iter().flatten().cloned();
    let mut names: BTreeSet<String> = named.collect();
    // What a customer says names nobody but itself, and whether it is part of this is not said here.
    if fact.kind() != FactKind::Customer {
        names.insert(fact.id().to_owned());
    }
    names
}

fn customer(fact: &Fact) -> Option<String> {
    match fact {
        Fact::CheckoutSession(session) => session.customer.clone(),
        Fact::Subscription(subscription) => subscription.customer.clone(),
        _ => None,
    }
}
