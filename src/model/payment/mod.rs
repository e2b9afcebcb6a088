//! Payment facts: what Stripe has told about each of its objects, joined in any order.
//!
//! One [`Fact`] is one account of one object, as an event gives it. Accounts of the same object are
//! joined by its own [`merge`](PaymentFact::merge), which is commutative, associative and idempotent:
//! the result depends on the set of accounts only. Stripe's `created` has whole seconds and two
//! accounts of the same second are normal; which of them is the later one is told by what they mean
//! (Stripe documentation, "Manage webhook endpoints", event ordering).
//!
//! | fact | how accounts of it are joined |
//! | --- | --- |
//! | [`CheckoutSession`] | status and payment only climb; the earliest naming of a user holds |
//! | [`Subscription`] | the latest account holds; what has ended stays ended |
//! | [`Invoice`] | the status only climbs |
//! | [`Charge`] | the latest account of what was refunded holds |
//! | [`Refund`] | the status only climbs: a refund that failed has failed for good |
//! | [`Dispute`] | the latest account holds; of the same second, the one nearer to the end |
//! | [`Customer`] | the earliest naming of a user holds |
//!
//! Whose a fact is, is derived as well: see [`owners`].

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::time::Timestamp;
use super::user::UserId;

mod attribution;
mod charge;
mod customer;
mod dispute;
mod invoice;
mod ownership;
mod refund;
mod session;
mod subscription;

pub use attribution::{
    Attributed, Attribution, Basis, Move, Ownership, VerdictChange, WaitingPayment,
};
pub use charge::Charge;
pub use customer::Customer;
pub use dispute::{Dispute, DisputeStatus};
pub use invoice::{Invoice, InvoiceStatus};
pub use ownership::{CustomerLink, Owners, by_user, customer_links, owners};
pub use refund::{Refund, RefundStatus};
pub use session::{CheckoutSession, PaymentStatus, SessionStatus};
pub use subscription::{Subscription, SubscriptionStatus};

super::words::words! {
    /// What kind of Stripe object a fact is about.
    pub enum FactKind {
        /// A Checkout Session, `cs_…`.
        CheckoutSession => "checkout_session",
        /// A subscription, `sub_…`.
        Subscription => "subscription",
        /// An invoice, `in_…`.
        Invoice => "invoice",
        /// A charge, `ch_…` or `py_…`.
        Charge => "charge",
        /// A refund, `re_…`.
        Refund => "refund",
        /// A dispute, `dp_…` or `du_…`.
        Dispute => "dispute",
        /// A customer, `cus_…`.
        Customer => "customer",
    }
}

/// A user whom one of Stripe's objects names, and when it did.
///
/// The earliest naming holds: a later event cannot hand a payment over to somebody else. Namings of
/// the same second are ordered by the id, which is arbitrary but the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
pub struct NamedUser {
    /// `created` of the event that named the user.
    pub at: Timestamp,
    /// Who it is.
    pub id: UserId,
}

impl NamedUser {
    /// The earlier one of two.
    fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// All that is known of one of Stripe's objects.
pub trait PaymentFact: Clone + Eq {
    /// Stripe's id of the object.
    fn id(&self) -> &str;

    /// Joins two accounts of the same object, in any order.
    #[must_use]
    fn merge(self, other: Self) -> Self;
}

/// One account of one of Stripe's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// See [`CheckoutSession`].
    CheckoutSession(CheckoutSession),
    /// See [`Subscription`].
    Subscription(Subscription),
    /// See [`Invoice`].
    Invoice(Invoice),
    /// See [`Charge`].
    Charge(Charge),
    /// See [`Refund`].
    Refund(Refund),
    /// See [`Dispute`].
    Dispute(Dispute),
    /// See [`Customer`].
    Customer(Customer),
}

impl Fact {
    /// What it is about.
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::CheckoutSession(_) => FactKind::CheckoutSession,
            Self::Subscription(_) => FactKind::Subscription,
            Self::Invoice(_) => FactKind::Invoice,
            Self::Charge(_) => FactKind::Charge,
            Self::Refund(_) => FactKind::Refund,
            Self::Dispute(_) => FactKind::Dispute,
            Self::Customer(_) => FactKind::Customer,
        }
    }

    /// Stripe's id of the object.
    pub fn id(&self) -> &str {
        match self {
            Self::CheckoutSession(fact) => fact.id(),
            Self::Subscription(fact) => fact.id(),
            Self::Invoice(fact) => fact.id(),
            Self::Charge(fact) => fact.id(),
            Self::Refund(fact) => fact.id(),
            Self::Dispute(fact) => fact.id(),
            Self::Customer(fact) => fact.id(),
        }
    }
}

/// Facts of one kind, by id.
pub type ById<F> = BTreeMap<String, F>;

/// A set of facts. Serialised as a list for each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Facts {
    /// Checkout Sessions.
    #[serde(rename = "checkout_sessions", serialize_with = "as_list")]
    pub sessions: ById<CheckoutSession>,
    /// Subscriptions.
    #[serde(serialize_with = "as_list")]
    pub subscriptions: ById<Subscription>,
    /// Invoices.
    #[serde(serialize_with = "as_list")]
    pub invoices: ById<Invoice>,
    /// Charges.
    #[serde(serialize_with = "as_list")]
    pub charges: ById<Charge>,
    /// Refunds.
    #[serde(serialize_with = "as_list")]
    pub refunds: ById<Refund>,
    /// Disputes.
    #[serde(serialize_with = "as_list")]
    pub disputes: ById<Dispute>,
    /// Customers who are somebody's.
    #[serde(serialize_with = "as_list")]
    pub customers: ById<Customer>,
}

impl Facts {
    /// Takes one account in.
    pub fn join(&mut self, fact: Fact) {
        match fact {
            Fact::CheckoutSession(fact) => join(&mut self.sessions, fact),
            Fact::Subscription(fact) => join(&mut self.subscriptions, fact),
            Fact::Invoice(fact) => join(&mut self.invoices, fact),
            Fact::Charge(fact) => join(&mut self.charges, fact),
            Fact::Refund(fact) => join(&mut self.refunds, fact),
            Fact::Dispute(fact) => join(&mut self.disputes, fact),
            Fact::Customer(fact) => join(&mut self.customers, fact),
        }
    }

    /// All of them, by kind and id.
    pub fn iter(&self) -> impl Iterator<Item = Fact> {
        let sessions = self.sessions.values().cloned().map(Fact::CheckoutSession);
        let subscriptions = self.subscriptions.values().cloned();
        sessions
            .chain(subscriptions.map(Fact::Subscription))
            .chain(self.invoices.values().cloned().map(Fact::Invoice))
            .chain(self.charges.values().cloned().map(Fact::Charge))
            .chain(self.refunds.values().cloned().map(Fact::Refund))
            .chain(self.disputes.values().cloned().map(Fact::Dispute))
            .chain(self.customers.values().cloned().map(Fact::Customer))
    }
}

fn as_list<F: Serialize, S: Serializer>(facts: &ById<F>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(facts.values())
}

impl Extend<Fact> for Facts {
    fn extend<I: IntoIterator<Item = Fact>>(&mut self, facts: I) {
        for fact in facts {
            self.join(fact);
        }
    }
}

impl FromIterator<Fact> for Facts {
    fn from_iter<I: IntoIterator<Item = Fact>>(facts: I) -> Self {
        let mut joined = Self::default();
        joined.extend(facts);
        joined
    }
}

fn join<F: PaymentFact>(known: &mut ById<F>, fact: F) {
    let joined = match known.remove(fact.id()) {
        Some(before) => before.merge(fact),
        None => fact,
    };
    known.insert(joined.id().to_owned(), joined);
}
