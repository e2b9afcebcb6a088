//! What a user has paid for, derived from facts alone.

use serde::Serialize;
use serde_json::{Value, json};

use super::payment::{CheckoutSession, PaymentStatus, SessionStatus};

/// The paid state of one user, with the reason for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entitlement {
    /// Whether the user has access.
    pub paid: bool,
    /// Where the money of the deciding session stands.
    pub payment: PaymentStatus,
    /// How far the deciding session has come.
    pub status: SessionStatus,
    /// One sentence for a person.
    pub reason: String,
    /// The session that decides.
    pub checkout_session_id: String,
    /// The subscription behind it, if it is one.
    pub subscription_id: Option<String>,
}

/// Derives the entitlement of a user from all Checkout Sessions that are attributed to that user;
/// `None` when there are none.
///
/// | sessions of the user | paid | deciding session |
/// | --- | --- | --- |
/// | one or more `paid`, or complete with `no_payment_required` | yes | the newest of those |
/// | only `unpaid`, `failed` or expired ones | no | the newest |
/// | only ones in `setup` mode | no | the newest |
///
/// "Newest" is by when the session was opened, then by id. A pure function of the set: the order of
/// `sessions` does not matter.
pub fn decide(sessions: &[CheckoutSession]) -> Option<Entitlement> {
    let deciding = sessions
        .iter()
        .max_by_key(|session| (session.grants(), session.created_at, &session.id))?;
    let paid = deciding.grants();
    Some(Entitlement {
        paid,
        payment: deciding.payment,
        status: deciding.status,
        reason: reason(deciding),
        checkout_session_id: deciding.id.clone(),
        subscription_id: deciding.subscription.clone(),
    })
}

fn reason(session: &CheckoutSession) -> String {
    let id = &session.id;
    match (session.payment, session.status) {
        (PaymentStatus::Paid, _) => format!("checkout {id} is paid"),
        (PaymentStatus::NoPaymentRequired, SessionStatus::Complete) => {
            if session.grants() {
                format!("checkout {id} is complete and nothing is due")
            } else {
                format!("checkout {id} only saved a payment method")
            }
        }
        (PaymentStatus::Failed, _) => format!("the delayed payment of checkout {id} failed"),
        (PaymentStatus::Unpaid, SessionStatus::Complete) => {
            format!("checkout {id} is complete, its payment has not arrived")
        }
        (PaymentStatus::NoPaymentRequired | PaymentStatus::Unpaid, SessionStatus::Expired) => {
            format!("checkout {id} expired before it was finished")
        }
    }
}

/// What Clerk's `public_metadata` should hold for a user with this entitlement. Without one, the key
/// is removed (`null` removes a key in Clerk's deep merge: Backend API, `PATCH
/// /users/{id}/metadata`).
pub fn desired_metadata(entitlement: Option<&Entitlement>) -> Value {
    match entitlement {
        Some(entitlement) => json!({
            "stripe": {
                "status": entitlement.status,
                "payment": entitlement.payment,
                "paid": entitlement.paid,
            }
        }),
        None => json!({ "stripe": null }),
    }
}
