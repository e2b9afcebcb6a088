//! Payment facts: joined in any order, and attributed to users.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::Stored;
use crate::model::payment::{
    ById, Fact, FactKind, Facts, Move, Owners, SessionStatus, Subscription, owners,
};
use crate::model::user::UserId;

/// Facts, and whose they are.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Attributed {
    pub(in crate::store) facts: Facts,
    pub(in crate::store) owners: Owners,
}

impl Extend<Stored> for Attributed {
    fn extend<I: IntoIterator<Item = Stored>>(&mut self, rows: I) {
        for Stored { fact, owner } in rows {
            let of = match fact.kind() {
                FactKind::CheckoutSession => Some(&mut self.owners.sessions),
                FactKind::Subscription => Some(&mut self.owners.subscriptions),
                _ => None,
            };
            if let (Some(of), Some(owner)) = (of, owner) {
                of.insert(fact.id().to_owned(), owner);
            }
            self.facts.join(fact);
        }
    }
}

/// What a batch does to payment facts.
#[derive(Debug, Default)]
pub(in crate::store) struct PaymentFold {
    /// The facts that the batch touches, as they are after it.
    after: Attributed,
    /// Those to write: new, or changed in fact or attribution.
    changed: BTreeSet<(FactKind, String)>,
    /// What waiting events are about whose payment had no user and has one now, or is over.
    pub(in crate::store) released: Vec<String>,
    /// What changed hands.
    pub(in crate::store) moves: Vec<Move>,
    /// Users whose set of facts changed: those who gained some and those who lost some. And those whom
    /// a replay is about.
    pub(in crate::store) affected: BTreeSet<UserId>,
}

impl PaymentFold {
    /// Joins `incoming` facts with `before`, which must hold every stored fact that can tell whose
    /// they are, or whose other payments they change. What follows from those that are `replayed` is
    /// looked at even if they tell nothing new: it may be what is wrong.
    pub(in crate::store) fn new<'a>(
        before: &Attributed,
        incoming: impl IntoIterator<Item = &'a Fact>,
        replayed: &[&Fact],
    ) -> Self {
        let mut facts = before.facts.clone();
        facts.extend(incoming.into_iter().cloned());
        let owners = owners(&facts);
        let mut fold = Self {
            after: Attributed { facts, owners },
            ..Self::default()
        };
        fold.note_owned(before);
        fold.note_unowned(before);
        fold.note_payers();
        for fact in replayed {
            fold.note_owners(fact);
        }
        fold
    }

    /// Sessions and subscriptions that changed, or changed hands.
    fn note_owned(&mut self, before: &Attributed) {
        let Attributed { facts, owners } = &self.after;
        let sessions = differing(
            (&before.facts.sessions, &before.owners.sessions),
            (&facts.sessions, &owners.sessions),
        );
        let subscriptions = differing(
            (&before.facts.subscriptions, &before.owners.subscriptions),
            (&facts.subscriptions, &owners.subscriptions),
        );
        for id in &sessions {
            let hands = Hands::of(id, &before.owners.sessions, &owners.sessions);
            self.moves
                .extend(hands.as_move(FactKind::CheckoutSession, id));
            if hands.are_released() && before.facts.sessions.contains_key(id) {
                self.released.push(id.clone());
            }
            self.affected.extend(hands.users());
        }
        for id in &subscriptions {
            let hands = Hands::of(id, &before.owners.subscriptions, &owners.subscriptions);
            self.moves.extend(hands.as_move(FactKind::Subscription, id));
            let is_over = facts
                .subscriptions
                .get(id)
                .is_some_and(Subscription::is_over);
            let was_known = before.facts.subscriptions.contains_key(id);
            if was_known && (hands.are_released() || is_over) {
                self.released.push(id.clone());
            }
            self.affected.extend(hands.users());
        }
        let keyed = |kind| move |id| (kind, id);
        self.changed
            .extend(sessions.into_iter().map(keyed(FactKind::CheckoutSession)));
        self.changed
            .extend(subscriptions.into_iter().map(keyed(FactKind::Subscription)));
    }

    /// The other facts that changed.
    fn note_unowned(&mut self, before: &Attributed) {
        fn changed<F: PartialEq>(before: &ById<F>, after: &ById<F>) -> Vec<String> {
            let none = BTreeMap::new();
            differing((before, &none), (after, &none))
        }
        let (before, after) = (&before.facts, &self.after.facts);
        for (kind, ids) in [
            (
                FactKind::Invoice,
                changed(&before.invoices, &after.invoices),
            ),
            (FactKind::Charge, changed(&before.charges, &after.charges)),
            (FactKind::Refund, changed(&before.refunds, &after.refunds)),
            (
                FactKind::Dispute,
                changed(&before.disputes, &after.disputes),
            ),
            (
                FactKind::Customer,
                changed(&before.customers, &after.customers),
            ),
        ] {
            self.changed.extend(ids.into_iter().map(|id| (kind, id)));
        }
    }

    /// Users whose invoices, refunds or disputes changed.
    fn note_payers(&mut self) {
        let Attributed { facts, owners } = &self.after;
        let mut intents = BTreeSet::new();
        let mut subscriptions = BTreeSet::new();
        for (kind, id) in &self.changed {
            match kind {
                FactKind::Invoice => {
                    let invoice = facts.invoices.get(id);
                    subscriptions.extend(invoice.and_then(|known| known.subscription.as_ref()));
                }
                FactKind::Charge => {
                    let charge = facts.charges.get(id);
                    intents.extend(charge.and_then(|known| known.payment_intent.as_ref()));
                }
                FactKind::Refund => {
                    let refund = facts.refunds.get(id);
                    intents.extend(refund.and_then(|known| known.payment_intent.as_ref()));
                }
                FactKind::Dispute => {
                    let dispute = facts.disputes.get(id);
                    intents.extend(dispute.and_then(|known| known.payment_intent.as_ref()));
                }
                FactKind::CheckoutSession | FactKind::Subscription | FactKind::Customer => {}
            }
        }
        for invoice in facts.invoices.values() {
            let intent = invoice.payment_intent.as_ref();
            if intent.is_some_and(|intent| intents.contains(intent)) {
                subscriptions.extend(invoice.subscription.as_ref());
            }
        }
        for session in facts.sessions.values() {
            let intent = session.payment_intent.as_ref();
            if intent.is_some_and(|intent| intents.contains(intent)) {
                self.affected
                    .extend(owners.sessions.get(&session.id).cloned());
            }
        }
        for subscription in subscriptions {
            self.affected
                .extend(owners.subscriptions.get(subscription).cloned());
        }
    }

    /// Users whom a fact is about, whether or not it changed.
    fn note_owners(&mut self, fact: &Fact) {
        let users: BTreeSet<UserId> = match fact {
            Fact::Customer(customer) => {
                let Attributed { facts, owners } = &self.after;
                let by = Some(&customer.id);
                let sessions = facts.sessions.values();
                let sessions = sessions
                    .filter(|session| session.customer.as_ref() == by)
                    .filter_map(|session| owners.sessions.get(&session.id));
                let subscriptions = facts.subscriptions.values();
                let subscriptions = subscriptions
                    .filter(|subscription| subscription.customer.as_ref() == by)
                    .filter_map(|subscription| owners.subscriptions.get(&subscription.id));
                sessions.chain(subscriptions).cloned().collect()
            }
            _ => self.users_of(fact).into_iter().cloned().collect(),
        };
        self.affected.extend(users);
    }

    /// All facts that the batch touches, as they are after it.
    pub(in crate::store) fn facts(&self) -> &Facts {
        &self.after.facts
    }

    /// Whether an event that told of this waits for a user: it is nobody's, and not over.
    pub(in crate::store) fn waits(&self, fact: &Fact) -> bool {
        let Attributed { facts, owners } = &self.after;
        match fact {
            Fact::CheckoutSession(session) => {
                session.status != SessionStatus::Expired
                    && !owners.sessions.contains_key(&session.id)
            }
            Fact::Subscription(Subscription { id, .. }) => {
                let is_over = facts
                    .subscriptions
                    .get(id)
                    .is_some_and(Subscription::is_over);
                !is_over && !owners.subscriptions.contains_key(id)
            }
            _ => false,
        }
    }

    /// Whose entitlements this fact is about, as far as the batch tells: of a session and a
    /// subscription its user, of a customer the user it names, of the rest the user of its payment.
    pub(in crate::store) fn users_of(&self, fact: &Fact) -> BTreeSet<&UserId> {
        let Attributed { facts, owners } = &self.after;
        let intent = match fact {
            Fact::CheckoutSession(session) => {
                return owners.sessions.get(&session.id).into_iter().collect();
            }
            Fact::Subscription(subscription) => {
                let owner = owners.subscriptions.get(&subscription.id);
                return owner.into_iter().collect();
            }
            Fact::Customer(customer) => {
                let named = &customer.named_user.id;
                return self.affected.get(named).into_iter().collect();
            }
            Fact::Invoice(invoice) => {
                let subscription = invoice.subscription.as_ref();
                let owner = subscription.and_then(|id| owners.subscriptions.get(id));
                return owner.into_iter().collect();
            }
            Fact::Charge(charge) => charge.payment_intent.as_ref(),
            Fact::Refund(refund) => refund.payment_intent.as_ref(),
            Fact::Dispute(dispute) => dispute.payment_intent.as_ref(),
        };
        let Some(intent) = intent else {
            return BTreeSet::new();
        };
        let sessions = facts.sessions.values();
        let sessions = sessions
            .filter(|session| session.payment_intent.as_ref() == Some(intent))
            .filter_map(|session| owners.sessions.get(&session.id));
        let invoices = facts.invoices.values();
        let renewals = invoices
            .filter(|invoice| invoice.payment_intent.as_ref() == Some(intent))
            .filter_map(|invoice| owners.subscriptions.get(invoice.subscription.as_ref()?));
        sessions.chain(renewals).collect()
    }

    /// The rows to write, by kind and id.
    pub(in crate::store) fn rows(&self) -> BTreeMap<FactKind, Vec<Stored>> {
        let mut rows: BTreeMap<FactKind, Vec<Stored>> = BTreeMap::new();
        for fact in self.after.facts.iter() {
            let (kind, id) = (fact.kind(), fact.id());
            if !self.changed.contains(&(kind, id.to_owned())) {
                continue;
            }
            let owner = match kind {
                FactKind::CheckoutSession => self.after.owners.sessions.get(id),
                FactKind::Subscription => self.after.owners.subscriptions.get(id),
                _ => None,
            };
            let owner = owner.cloned();
            rows.entry(kind).or_default().push(Stored { fact, owner });
        }
        rows
    }
}

/// Whose something was and is.
struct Hands {
    before: Option<UserId>,
    after: Option<UserId>,
}

impl Hands {
    fn of(id: &str, before: &BTreeMap<String, UserId>, after: &BTreeMap<String, UserId>) -> Self {
        Self {
            before: before.get(id).cloned(),
            after: after.get(id).cloned(),
        }
    }

    fn are_released(&self) -> bool {
        self.before.is_none() && self.after.is_some()
    }

    fn as_move(&self, kind: FactKind, id: &str) -> Option<Move> {
        let changes = self.before != self.after;
        changes.then(|| Move {
            kind,
            id: id.to_owned(),
            from: self.before.clone(),
            to: self.after.clone(),
        })
    }

    fn users(self) -> impl Iterator<Item = UserId> {
        self.before.into_iter().chain(self.after)
    }
}

/// The ids of those that are new, or changed in fact or attribution.
fn differing<F: PartialEq>(
    before: (&ById<F>, &BTreeMap<String, UserId>),
    after: (&ById<F>, &BTreeMap<String, UserId>),
) -> Vec<String> {
    let differs = |id: &String, fact: &F| {
        before.0.get(id) != Some(fact) || before.1.get(id) != after.1.get(id)
    };
    let all = after.0.iter();
    all.filter(|(id, fact)| differs(id, fact))
        .map(|(id, _)| id.clone())
        .collect()
}
