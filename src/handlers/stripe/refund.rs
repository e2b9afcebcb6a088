//! `refund.created`, `refund.updated`, `refund.failed`, and `charge.refund.updated`, by which accounts
//! of before 2024 tell the same.

use super::{decisive, record};
use crate::model::changes::Changes;
use crate::model::payment::{Fact, Refund, RefundStatus};
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;
use crate::provider::stripe::object::RefundObject;

/// A refund that does not say how it stands is taken to be on its way: that is the lowest status, so
/// whatever else is told of the refund holds over it.
pub(super) fn state(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let refund = RefundObject::of(payload)?;
    let status = match refund.status.as_deref() {
        None => RefundStatus::Pending,
        word => decisive(payload, "status", word, RefundStatus::parse)?,
    };
    told(payload, refund, status)
}

/// The money came back, whatever the refund says of itself: it has been seen to say `succeeded`.
pub(super) fn failed(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    told(payload, RefundObject::of(payload)?, RefundStatus::Failed)
}

fn told(
    payload: &StripeEvent<'_>,
    refund: RefundObject,
    status: RefundStatus,
) -> Result<Changes, PayloadError> {
    Ok(record(Fact::Refund(Refund {
        id: refund.id,
        payment_intent: refund.payment_intent,
        charge: refund.charge,
        amount: refund.amount,
        currency: refund.currency,
        status,
        livemode: refund.livemode,
        created_at: refund.created,
        updated_at: payload.created()?,
    })))
}
