//! What is known of a checkout, joined in any order.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::time::Timestamp;
use super::user::UserId;

/// How far a Checkout Session has come. Only climbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionStatus {
    /// It ran out before the customer finished it.
    Expired,
    /// The customer finished it; says nothing about money.
    Complete,
}

impl SessionStatus {
    /// Stripe's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Complete => "complete",
        }
    }

    /// Reads the word back; `None` if it is not one.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Expired, Self::Complete]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for SessionStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Where the money of a Checkout Session stands. Only climbs, so that a late `completed` with
/// `unpaid` cannot undo an `async_payment_succeeded` that overtook it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentStatus {
    /// Not there yet: the usual answer of delayed payment methods.
    Unpaid,
    /// A delayed payment did not come (`async_payment_failed`).
    Failed,
    /// Nothing is due now: a trial, a full discount, or a session that only saves a card.
    NoPaymentRequired,
    /// The money is there.
    Paid,
}

impl PaymentStatus {
    const ALL: [Self; 4] = [
        Self::Unpaid,
        Self::Failed,
        Self::NoPaymentRequired,
        Self::Paid,
    ];

    /// Stripe's word for it (`failed` is ours: Stripe only has an event type for it).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Failed => "failed",
            Self::NoPaymentRequired => "no_payment_required",
            Self::Paid => "paid",
        }
    }

    /// Reads the word back; `None` if it is not one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl fmt::Display for PaymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for PaymentStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The user that a Checkout Session itself names, and when it did.
///
/// The earliest naming holds: a later event cannot hand a payment over to somebody else. Namings of
/// the same second are ordered by the id, which is arbitrary but the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedUser {
    /// `created` of the event that named the user.
    pub at: Timestamp,
    /// Who it is.
    pub id: UserId,
}

/// Everything known of one Checkout Session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// Stripe's id, `cs_…`.
    pub id: String,
    /// The user named by `metadata.userId`, else by `client_reference_id`.
    pub named_user: Option<NamedUser>,
    /// Stripe's customer, `cus_…`.
    pub customer: Option<String>,
    /// Stripe's payment intent, `pi_…`.
    pub payment_intent: Option<String>,
    /// Stripe's subscription, `sub_…`.
    pub subscription: Option<String>,
    /// `payment`, `subscription` or `setup`.
    pub mode: Option<String>,
    /// How far it has come.
    pub status: SessionStatus,
    /// Where the money stands.
    pub payment: PaymentStatus,
    /// In the currency's smallest unit.
    pub amount_total: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// When the session was opened.
    pub created_at: Timestamp,
    /// `created` of the newest event that told of it.
    pub updated_at: Timestamp,
}

impl CheckoutSession {
    /// Joins two accounts of the same session.
    ///
    /// Commutative, associative and idempotent: the result depends on the set of accounts only, not
    /// on their order or number. Facts that Stripe sets once (customer, intent, subscription, mode,
    /// amount) go from absent to present; should two accounts contradict each other, the greater
    /// value holds, which is arbitrary but the same everywhere.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let named_user = match (self.named_user, other.named_user) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            id: self.id,
            named_user,
            customer: self.customer.max(other.customer),
            payment_intent: self.payment_intent.max(other.payment_intent),
            subscription: self.subscription.max(other.subscription),
            mode: self.mode.max(other.mode),
            status: self.status.max(other.status),
            payment: self.payment.max(other.payment),
            amount_total: self.amount_total.max(other.amount_total),
            currency: self.currency.max(other.currency),
            livemode: self.livemode || other.livemode,
            created_at: self.created_at.min(other.created_at),
            updated_at: self.updated_at.max(other.updated_at),
        }
    }

    /// Whether this session by itself gives access.
    ///
    /// Money that has come does. Nothing being due does if the customer finished the session; a
    /// session in `setup` mode only saves a card, so nothing was bought.
    pub fn grants(&self) -> bool {
        match self.payment {
            PaymentStatus::Paid => true,
            PaymentStatus::NoPaymentRequired => {
                self.status == SessionStatus::Complete && self.mode.as_deref() != Some("setup")
            }
            PaymentStatus::Unpaid | PaymentStatus::Failed => false,
        }
    }
}

/// Which user each Stripe customer belongs to, as far as `sessions` tell.
///
/// A customer belongs to the user named by its oldest session that names one. `sessions` must hold
/// every session of the customers in question; never derived from an e-mail address.
pub fn owners_of_customers<'a>(
    sessions: impl IntoIterator<Item = &'a CheckoutSession>,
) -> BTreeMap<String, UserId> {
    let mut oldest: BTreeMap<&str, (Timestamp, &str, &UserId)> = BTreeMap::new();
    for session in sessions {
        if let (Some(customer), Some(named)) = (&session.customer, &session.named_user) {
            let candidate = (session.created_at, session.id.as_str(), &named.id);
            let known = oldest.entry(customer).or_insert(candidate);
            *known = candidate.min(*known);
        }
    }
    oldest
        .into_iter()
        .map(|(customer, (_, _, user))| (customer.to_owned(), user.clone()))
        .collect()
}

/// The user a session belongs to: the one it names, else the owner of its customer.
pub fn user_of<'a>(
    session: &'a CheckoutSession,
    owners: &'a BTreeMap<String, UserId>,
) -> Option<&'a UserId> {
    match &session.named_user {
        Some(named) => Some(&named.id),
        None => session
            .customer
            .as_ref()
            .and_then(|customer| owners.get(customer)),
    }
}
