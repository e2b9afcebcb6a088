//! What an operator can do about payments whose user is not known, or not the right one.
//!
//! [`attribute`] looks at a payment and at the user whom it is to be given to, and asks the store to give
//! it, for real or as a dry run: both do the same, the latter is undone.
//!
//! Guaranteed: what is done, or would have been, is told and recorded in `operator_actions` in the
//! same transaction; if the payment changes hands between the look and the deed, nothing is done.
//! NOT guaranteed: that an execution comes out as a dry run before it, as events go on arriving.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::model::operator::{ActionRecord, Mode, Operator, OperatorAction};
use crate::model::payment::{Attribution, Basis, Move, Ownership, VerdictChange};
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
    /// Who wants it.
    pub operator: Operator,
    /// Whether for real.
    pub mode: Mode,
}

/// What was done, or would be, and what comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Report {
    /// The payment.
    pub payment: String,
    /// Whose it is to be.
    pub user: UserId,
    /// Whose it was.
    pub before: Ownership,
    /// Why it was; `None`: it was nobody's.
    pub because: Option<Basis>,
    /// Everything that changes hands; empty if it is the user's already.
    pub moves: Vec<Move>,
    /// Everyone who gains or loses something.
    pub verdicts: Vec<VerdictChange>,
    /// The line in the record of what operators did; `None` if there was nothing to do.
    pub action: Option<ActionRecord>,
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
    /// Something happened between the look and the deed.
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

/// Gives a payment to a user.
///
/// # Errors
///
/// When it must not be done, or the database cannot be used. Then nothing was done, nor recorded.
pub async fn attribute(
    store: &dyn Store,
    request: Request,
    now: Timestamp,
) -> Result<Report, AttributeError> {
    let payment = request.payment.clone();
    let before = store.find_ownership(&payment).await?;
    let before = before.ok_or_else(|| AttributeError::Unknown(payment.clone()))?;
    let mut report = Report {
        payment,
        user: request.user.clone(),
        because: before.basis(),
        before,
        moves: Vec::new(),
        verdicts: Vec::new(),
        action: None,
    };
    let owner = report.before.owner.clone();
    if owner.as_ref() == Some(&report.user) {
        return Ok(report);
    }
    if let (Some(owner), Some(basis), false) = (&owner, report.because, request.reassign) {
        return Err(AttributeError::Owned {
            owner: owner.clone(),
            basis,
            customer: report.before.customer,
            payment: report.payment,
        });
    }
    check_user(store, &request).await?;

    let action = OperatorAction {
        action: "payments attribute",
        target: json!({ "payment": request.payment, "user": request.user, "from": owner }),
        operator: request.operator,
        mode: request.mode,
    };
    let (payment, user) = (&report.payment, &report.user);
    let attributed = store
        .attribute(payment, user, owner.as_ref(), &action, now)
        .await?;
    match attributed.attribution {
        Attribution::Done => {}
        Attribution::Unknown => return Err(AttributeError::Unknown(report.payment)),
        Attribution::OwnedBy(owner) => {
            let payment = report.payment;
            return Err(AttributeError::Overtaken { payment, owner });
        }
    }
    report.verdicts = attributed.verdicts;
    report.moves = attributed.moves;
    report.action = attributed.action;
    Ok(report)
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
