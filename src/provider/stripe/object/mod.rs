//! The objects that Stripe's events carry, each as far as it is used.
//!
//! The body is rendered at the API version of the endpoint, and an account may have endpoints of
//! several. So every shape since 2019 is read: what has moved is looked for in both places, only what
//! is used is required, and every enumeration stays text. Times are in seconds. Another object is
//! given by its id or expanded.

use crate::model::user::UserId;

use super::super::payload::{Object, PayloadError};

mod charge;
mod customer;
mod dispute;
mod invoice;
mod invoice_payment;
mod refund;
mod session;
mod subscription;

pub use charge::ChargeObject;
pub use customer::CustomerObject;
pub use dispute::DisputeObject;
pub use invoice::InvoiceObject;
pub use invoice_payment::InvoicePaymentObject;
pub use refund::RefundObject;
pub use session::SessionObject;
pub use subscription::SubscriptionObject;

/// The user in `metadata.userId`, if it can be one. Only our own back end writes metadata.
fn metadata_user(object: &Object<'_>) -> Result<Option<UserId>, PayloadError> {
    Ok(match object.object("metadata")? {
        Some(metadata) => usable_user(&metadata, "userId"),
        None => None,
    })
}

/// Other people write these fields; what cannot be an id names nobody.
fn usable_user(object: &Object<'_>, name: &str) -> Option<UserId> {
    let text = object.text(name).ok()??;
    UserId::parse(&text)
}
