//! What comes of giving a payment to a user by hand, and what waits for that.

use serde::Serialize;
use utoipa::ToSchema;

use super::FactKind;
use crate::model::entitlement::Entitlement;
use crate::model::operator::ActionRecord;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// How an attempt to give a session or a subscription to a user ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// It is the user's, whatever its events say of it.
    Done,
    /// Nothing is known of such a session or subscription.
    Unknown,
    /// It is not whose it was said to be; nothing was changed.
    OwnedBy(Option<UserId>),
}

/// Whose a session or a subscription is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ownership {
    /// Whose it is; `None` while that is not known.
    pub owner: Option<UserId>,
    /// The user it names itself.
    pub named: Option<UserId>,
    /// The user a person has given it to.
    pub given: Option<UserId>,
    /// Stripe's customer.
    pub customer: Option<String>,
}

crate::model::words::words! {
    /// Why a session or a subscription is somebody's.
    pub enum Basis {
        /// It is known by its customer, or by the session that began it.
        Linked => "linked",
        /// It names the user itself.
        Named => "named",
        /// A person has given it away.
        Given => "given",
    }
}

impl Ownership {
    /// Why it is its owner's; `None` if it is nobody's.
    pub fn basis(&self) -> Option<Basis> {
        let owner = Some(self.owner.as_ref()?);
        Some(if self.given.as_ref() == owner {
            Basis::Given
        } else if self.named.as_ref() == owner {
            Basis::Named
        } else {
            Basis::Linked
        })
    }
}

/// What came of an attempt to give a session or a subscription to a user, or would come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributed {
    /// How it ended, or would end.
    pub attribution: Attribution,
    /// What changes hands: more than was asked for where a customer is known by it.
    pub moves: Vec<Move>,
    /// What that comes to for everyone who gains or loses something.
    pub verdicts: Vec<VerdictChange>,
    /// The line in the record of what operators did; `None` where it could not be done.
    pub action: Option<ActionRecord>,
}

impl Attributed {
    /// Nothing was done.
    pub const fn not_done(why: Attribution) -> Self {
        Self {
            attribution: why,
            moves: Vec::new(),
            verdicts: Vec::new(),
            action: None,
        }
    }
}

/// What one user is entitled to, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerdictChange {
    /// Who.
    pub user: UserId,
    /// What it was; `None`: no payment of this user was known.
    pub before: Option<Entitlement>,
    /// What it comes to; `None`: no payment is left.
    pub after: Option<Entitlement>,
}

/// A session or a subscription that changes hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Move {
    /// Which of the two.
    pub kind: FactKind,
    /// Its id.
    pub id: String,
    /// Whose it was.
    pub from: Option<UserId>,
    /// Whose it will be.
    pub to: Option<UserId>,
}

/// A session or a subscription with events that wait for its user to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitingPayment {
    /// Its id; what the events are about, if no such fact is without a user.
    pub id: String,
    /// How far it has come, in Stripe's word.
    pub status: Option<String>,
    /// Where the money of a session stands.
    pub payment: Option<String>,
    /// Stripe's customer.
    pub customer: Option<String>,
    /// In the currency's smallest unit; of sessions only.
    pub amount: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// When it was opened, or began.
    pub created_at: Option<Timestamp>,
    /// How many events wait.
    pub events: u64,
    /// When the oldest of them was received.
    pub oldest_received_at: Timestamp,
}
