//! `charge.refunded`: how much of a charge was given back, all refunds together.

use super::record;
use crate::model::changes::Changes;
use crate::model::payment::{Charge, Fact};
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;
use crate::provider::stripe::object::ChargeObject;

pub(super) fn refunded(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let charge = ChargeObject::of(payload)?;
    Ok(record(Fact::Charge(Charge {
        amount: taken(&charge),
        id: charge.id,
        payment_intent: charge.payment_intent,
        amount_refunded: charge.amount_refunded,
        currency: charge.currency,
        livemode: charge.livemode,
        created_at: charge.created,
        updated_at: payload.created()?,
    })))
}

/// The sum of refunds at which all is given back: what was captured, else what was asked for.
///
/// `refunded` says whether it has come to that, and has the last word: where a part was captured, the
/// rest may count as refunded, and the sum reaches what was captured before all is given back.
fn taken(charge: &ChargeObject) -> i64 {
    let captured = charge.amount_captured.filter(|captured| *captured > 0);
    let taken = captured.unwrap_or(charge.amount);
    match charge.refunded {
        Some(true) if charge.amount_refunded > 0 => charge.amount_refunded,
        Some(false) if charge.amount_refunded >= taken => charge.amount,
        _ => taken,
    }
}
