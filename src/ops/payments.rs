//! What an operator can do about payments whose user is not known, or not the right one.
//!
//! Actors: [`plan`] looks at a payment and at the user whom it is to be given to, and asks the store
//! what would come of it; [`execute`] does what a plan says.
//!
//! Guaranteed: a plan changes nothing. What is executed is what was planned, as far as the payment's
//! owner goes: if that has changed since, nothing is done. NOT guaranteed: that the verdicts come out
//! as planned, as events go on arriving meanwhile.

use serde::Serialize;

use crate::model::entitlement::Entitlement;
use crate::model::payment::{Attribution, Basis, Move, Ownership};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::store::{Store, StoreError};

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The Checkout Session or subscription, by Stripe's id.
    pub payment: String,
    /// Whose it is to be.
    pub user: UserId,
    /// Whether it may be taken from somebody.
    pub reassign: bool,
    /// Whether the user need not be mirrored.
    pub unmirrored: bool,
}

/// What would be done, and what would come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The payment.
    pub payment: String,
    /// Whose it is to be.
    pub user: UserId,
    /// Whose it is now.
    pub now: Ownership,
    /// Why it is; `None` while it is nobody's.
    pub because: Option<Basis>,
    /// Everything that would change hands; empty if it is the user's already.
    pub moves: Vec<Move>,
    /// Everyone who would gain or lose something.
    pub verdicts: Vec<Verdict>,
}

impl Plan {
    /// Whether it would change anything.
    pub fn changes_something(&self) -> bool {
        !self.moves.is_empty()
    }
}

/// What one user is entitled to, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Who.
    pub user: UserId,
    /// The entitlement of now; `None`: no payment of this user is known.
    pub before: Option<Entitlement>,
    /// What it would be.
    pub after: Option<Entitlement>,
}

/// Why a payment is not given to somebody.
#[derive(Debug, thiserror::Error)]
pub enum AttributeError {
    /// There is no such payment.
    #[error(
        "no Checkout Session and no subscription {0} is known: `hookmirror payments waiting` lists those \
         that wait for their user"
    )]
    Unknown(String),
    /// It is somebody's.
    #[error(
        "{payment} belongs to {owner}, {}: with --reassign it is taken from them",
        because(*.basis, .customer.as_deref())
    )]
    Owned {
        /// The payment.
        payment: String,
        /// Whose it is.
        owner: UserId,
        /// Why.
        basis: Basis,
        /// Stripe's customer.
        customer: Option<String>,
    },
    /// The mirror does not know the user.
    #[error(
        "{0} is not mirrored: no event about such a user has arrived. Is the id right? With --unmirrored \
         the payment waits for the user to appear"
    )]
    NotMirrored(UserId),
    /// The user is gone for good.
    #[error("{user} was deleted at {at}: nothing can be given to them")]
    Deleted {
        /// Who.
        user: UserId,
        /// When.
        at: Timestamp,
    },
    /// Something happened since the plan was made.
    #[error(
        "{payment} changed hands meanwhile: it belongs to {} now; nothing was done. Look again, and decide \
         again",
        .owner.as_ref().map_or("nobody", UserId::as_str)
    )]
    Overtaken {
        /// The payment.
        payment: String,
        /// Whose it is now.
        owner: Option<UserId>,
    },
    /// The database cannot be used.
    #[error("the payment cannot be given to anyone now")]
    Store(#[from] StoreError),
}

/// Why something is its owner's, to be read after their name.
pub fn because(basis: Basis, customer: Option<&str>) -> String {
    match (basis, customer) {
        (Basis::Given, _) => "whom somebody gave it to".to_owned(),
        (Basis::Named, _) => "whom it names".to_owned(),
        (Basis::Linked, Some(customer)) => {
            format!("by its customer {customer}, or by the checkout that began it")
        }
        (Basis::Linked, None) => "by the checkout that began it".to_owned(),
    }
}

/// Looks at what is wanted. Changes nothing.
///
/// # Errors
///
/// When it must not be done, or the database cannot be used.
pub async fn plan(
    store: &dyn Store,
    request: &Request,
    now: Timestamp,
) -> Result<Plan, AttributeError> {
    let Request { payment, user, .. } = request;
    let ownership = store.find_ownership(payment).await?;
    let ownership = ownership.ok_or_else(|| AttributeError::Unknown(payment.clone()))?;
    let basis = ownership.basis();
    let mut plan = Plan {
        payment: payment.clone(),
        user: user.clone(),
        now: ownership,
        because: basis,
        moves: Vec::new(),
        verdicts: Vec::new(),
    };
    let owner = plan.now.owner.as_ref();
    if owner == Some(user) {
        return Ok(plan);
    }
    if let (Some(owner), Some(basis), false) = (owner, basis, request.reassign) {
        return Err(AttributeError::Owned {
            payment: payment.clone(),
            owner: owner.clone(),
            basis,
            customer: plan.now.customer.clone(),
        });
    }
    check_user(store, request).await?;

    let preview = store.preview_attribution(payment, user, owner, now).await?;
    if preview.moves.is_empty() {
        let now = store.find_ownership(payment).await?;
        return Err(AttributeError::Overtaken {
            payment: payment.clone(),
            owner: now.and_then(|now| now.owner),
        });
    }
    for (user, after) in preview.entitlements {
        let report = store.find_user(&user).await?;
        plan.verdicts.push(Verdict {
            user,
            before: report.and_then(|report| report.entitlement),
            after,
        });
    }
    plan.moves = preview.moves;
    Ok(plan)
}

async fn check_user(store: &dyn Store, request: &Request) -> Result<(), AttributeError> {
    let user = &request.user;
    let report = store.find_user(user).await?;
    if let Some(at) = report.as_ref().and_then(|report| report.deleted_at) {
        let user = user.clone();
        return Err(AttributeError::Deleted { user, at });
    }
    let is_mirrored = report.is_some_and(|report| report.user.is_some());
    if is_mirrored || request.unmirrored {
        Ok(())
    } else {
        Err(AttributeError::NotMirrored(user.clone()))
    }
}

/// Does what the plan says.
///
/// # Errors
///
/// When the payment has changed hands since, or the database cannot be used; then nothing was done.
pub async fn execute(store: &dyn Store, plan: &Plan, now: Timestamp) -> Result<(), AttributeError> {
    let Plan { payment, user, .. } = plan;
    let from = plan.now.owner.as_ref();
    match store.attribute(payment, user, from, now).await? {
        Attribution::Done => Ok(()),
        Attribution::Unknown => Err(AttributeError::Unknown(payment.clone())),
        Attribution::OwnedBy(owner) => Err(AttributeError::Overtaken {
            payment: payment.clone(),
            owner,
        }),
    }
}
