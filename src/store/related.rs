//! Which stored facts a batch touches, and the names under which its writer keeps others away.
//!
//! Facts hang together: a refund by its payment with a session, a session by its customer with other
//! sessions, which that customer's owner owns as well. All that hangs together with what comes in is
//! read before anything is decided.

use std::collections::BTreeSet;

use super::facts::Selection;
use super::fold::payments::Attributed;
use super::problem::ApplyError;
use super::tables::Tables;
use crate::model::payment::{CustomerLink, Fact, FactKind, Facts, customer_links};
use crate::model::user::UserId;

/// What facts name. By these names they hang together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    sessions: BTreeSet<String>,
    subscriptions: BTreeSet<String>,
    customers: BTreeSet<String>,
    invoices: BTreeSet<String>,
    charges: BTreeSet<String>,
    refunds: BTreeSet<String>,
    disputes: BTreeSet<String>,
    /// Payments of which something was told that changes what their purchase comes to.
    intents: BTreeSet<String>,
}

impl Names {
    fn add(&mut self, fact: &Fact) {
        let id = fact.id().to_owned();
        match fact {
            Fact::CheckoutSession(session) => {
                self.sessions.insert(id);
                self.subscriptions.extend(session.subscription.clone());
                self.customers.extend(session.customer.clone());
            }
            Fact::Subscription(subscription) => {
                self.subscriptions.insert(id);
                self.customers.extend(subscription.customer.clone());
            }
            Fact::Invoice(invoice) => {
                self.invoices.insert(id);
                self.subscriptions.extend(invoice.subscription.clone());
            }
            Fact::Charge(charge) => {
                self.charges.insert(id);
                self.intents.extend(charge.payment_intent.clone());
            }
            Fact::Refund(refund) => {
                self.refunds.insert(id);
                self.intents.extend(refund.payment_intent.clone());
            }
            Fact::Dispute(dispute) => {
                self.disputes.insert(id);
                self.intents.extend(dispute.payment_intent.clone());
            }
            Fact::Customer(_) => {
                self.customers.insert(id);
            }
        }
    }

    fn without(&self, known: &Self) -> Self {
        let rest = |all: &BTreeSet<String>, known| all.difference(known).cloned().collect();
        Self {
            sessions: rest(&self.sessions, &known.sessions),
            subscriptions: rest(&self.subscriptions, &known.subscriptions),
            customers: rest(&self.customers, &known.customers),
            invoices: rest(&self.invoices, &known.invoices),
            charges: rest(&self.charges, &known.charges),
            refunds: rest(&self.refunds, &known.refunds),
            disputes: rest(&self.disputes, &known.disputes),
            intents: rest(&self.intents, &known.intents),
        }
    }

    fn selections(&self) -> impl Iterator<Item = Selection> {
        let of = Selection::of;
        [
            of(
                FactKind::CheckoutSession,
                &[
                    ("id", &self.sessions),
                    ("subscription", &self.subscriptions),
                    ("customer", &self.customers),
                    ("payment_intent", &self.intents),
                ],
            ),
            of(
                FactKind::Subscription,
                &[("id", &self.subscriptions), ("customer", &self.customers)],
            ),
            of(
                FactKind::Invoice,
                &[("id", &self.invoices), ("payment_intent", &self.intents)],
            ),
            of(FactKind::Charge, &[("id", &self.charges)]),
            of(FactKind::Refund, &[("id", &self.refunds)]),
            of(FactKind::Dispute, &[("id", &self.disputes)]),
            of(FactKind::Customer, &[("id", &self.customers)]),
        ]
        .into_iter()
        .filter(|selection| !selection.any_of.is_empty())
    }
}

/// Everything stored that hangs together with `incoming`.
pub(super) async fn related<'a>(
    tables: &mut dyn Tables,
    incoming: impl IntoIterator<Item = &'a Fact>,
) -> Result<Attributed, ApplyError> {
    let mut names = Names::default();
    for fact in incoming {
        names.add(fact);
    }
    let mut looked_up = Names::default();
    let mut found = Attributed::default();
    loop {
        let new = names.without(&looked_up);
        if new == Names::default() {
            return Ok(found);
        }
        looked_up = names.clone();
        for selection in new.selections() {
            let rows = tables.read_facts(&selection).await?;
            rows.iter().for_each(|row| names.add(&row.fact));
            found.extend(rows);
        }
    }
}

/// Every stored fact of these users.
pub(super) async fn of_users(
    tables: &mut dyn Tables,
    users: &BTreeSet<UserId>,
) -> Result<Attributed, ApplyError> {
    let ids: BTreeSet<String> = users.iter().map(ToString::to_string).collect();
    let mut found = Attributed::default();
    for kind in [FactKind::CheckoutSession, FactKind::Subscription] {
        let selection = Selection::of(kind, &[("user_id", &ids)]);
        read(tables, selection, &mut found).await?;
    }
    let subscriptions = found.facts.subscriptions.keys().cloned().collect();
    let selection = Selection::of(FactKind::Invoice, &[("subscription", &subscriptions)]);
    read(tables, selection, &mut found).await?;

    let sessions = found.facts.sessions.values();
    let invoices = found.facts.invoices.values();
    let intents = sessions
        .map(|session| &session.payment_intent)
        .chain(invoices.map(|invoice| &invoice.payment_intent))
        .flatten()
        .cloned()
        .collect();
    for kind in [FactKind::Charge, FactKind::Refund, FactKind::Dispute] {
        let selection = Selection::of(kind, &[("payment_intent", &intents)]);
        read(tables, selection, &mut found).await?;
    }
    Ok(found)
}

/// Every stored fact of one user, and whose the customers are that these facts name. What the customers
/// themselves say is among the facts.
pub(super) async fn of_user(
    tables: &mut dyn Tables,
    user: &UserId,
) -> Result<(Facts, Vec<CustomerLink>), ApplyError> {
    let users = BTreeSet::from([user.clone()]);
    let mut facts = of_users(tables, &users).await?.facts;
    let sessions = facts.sessions.values().map(|session| &session.customer);
    let subscriptions = facts.subscriptions.values();
    let customers: BTreeSet<String> = sessions
        .chain(subscriptions.map(|subscription| &subscription.customer))
        .flatten()
        .cloned()
        .collect();
    let mut found = Attributed::default();
    for (kind, column) in [
        (FactKind::CheckoutSession, "customer"),
        (FactKind::Subscription, "customer"),
        (FactKind::Customer, "id"),
    ] {
        let selection = Selection::of(kind, &[(column, &customers)]);
        read(tables, selection, &mut found).await?;
    }
    let links = customer_links(&found.facts);
    facts.customers = found.facts.customers;
    Ok((facts, links))
}

async fn read(
    tables: &mut dyn Tables,
    selection: Selection,
    found: &mut Attributed,
) -> Result<(), ApplyError> {
    if !selection.any_of.is_empty() {
        found.extend(tables.read_facts(&selection).await?);
    }
    Ok(())
}

/// What a writer of these facts keeps for itself: the facts, and all that they name.
///
/// Two writers of facts that hang together have a key in common, even where the fact that connects
/// them is not stored yet.
pub(super) fn keys(facts: &Facts) -> BTreeSet<String> {
    let mut names = Names::default();
    let mut intents: BTreeSet<String> = BTreeSet::new();
    for fact in facts.iter() {
        names.add(&fact);
        match fact {
            Fact::CheckoutSession(session) => intents.extend(session.payment_intent),
            Fact::Invoice(invoice) => intents.extend(invoice.payment_intent),
            _ => {}
        }
    }
    intents.append(&mut names.intents);
    [
        ("session", &names.sessions),
        ("subscription", &names.subscriptions),
        ("customer", &names.customers),
        ("invoice", &names.invoices),
        ("charge", &names.charges),
        ("refund", &names.refunds),
        ("dispute", &names.disputes),
        ("intent", &intents),
    ]
    .into_iter()
    .flat_map(|(kind, ids)| ids.iter().map(move |id| format!("{kind}/{id}")))
    .collect()
}
