//! `customer.created`, `customer.updated`: whose a customer is.
//!
//! `customer.deleted` is not acted on: its subscriptions end with events of their own, and what was
//! bought stays bought.

use super::{named, record};
use crate::model::changes::{Changes, IgnoreReason};
use crate::model::payment::{Customer, Fact};
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;
use crate::provider::stripe::object::CustomerObject;

pub(super) fn link(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let customer = CustomerObject::of(payload)?;
    Ok(match named(payload, customer.metadata_user)? {
        Some(named_user) => record(Fact::Customer(Customer {
            id: customer.id,
            named_user,
        })),
        None => Changes::Ignore(IgnoreReason::CustomerWithoutUser),
    })
}
