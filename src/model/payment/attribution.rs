//! What came of giving a payment to a user by hand.

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
