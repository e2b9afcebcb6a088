//! `charge.dispute.created`, `.updated`, `.closed`, `.funds_withdrawn`, `.funds_reinstated`.
//!
//! All of them carry the dispute, whose status says how it stands. That a dispute is closed does not
//! tell for whom, so the type adds nothing to it.

use super::{decisive, record};
use crate::model::changes::Changes;
use crate::model::payment::{Dispute, DisputeStatus, Fact};
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;
use crate::provider::stripe::object::DisputeObject;

pub(super) fn state(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let dispute = DisputeObject::of(payload)?;
    let word = dispute.status.as_deref();
    let status = decisive(payload, "status", word, DisputeStatus::parse)?;
    Ok(record(Fact::Dispute(Dispute {
        id: dispute.id,
        payment_intent: dispute.payment_intent,
        charge: dispute.charge,
        amount: dispute.amount,
        currency: dispute.currency,
        reason: dispute.reason,
        status,
        livemode: dispute.livemode,
        created_at: dispute.created,
        updated_at: payload.created()?,
    })))
}
