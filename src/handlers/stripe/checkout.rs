//! `checkout.session.completed`, `.async_payment_succeeded`, `.async_payment_failed`, `.expired`.
//!
//! Source: Stripe documentation, "Fulfill orders". `completed` means that the customer finished the
//! form; whether money came is in `payment_status`, which stays `unpaid` with delayed payment
//! methods until one of the two `async_payment` events tells the end of it.

use super::{decisive, named};
use crate::model::changes::Changes;
use crate::model::payment::{CheckoutSession, Fact, PaymentStatus, SessionStatus};
use crate::model::user::UserId;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;
use crate::provider::stripe::object::SessionObject;

pub(super) fn completed(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = SessionObject::of(payload)?;
    let payment = told_payment(payload, &session)?;
    record(payload, session, SessionStatus::Complete, payment)
}

pub(super) fn payment_succeeded(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = SessionObject::of(payload)?;
    record(
        payload,
        session,
        SessionStatus::Complete,
        PaymentStatus::Paid,
    )
}

pub(super) fn payment_failed(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = SessionObject::of(payload)?;
    record(
        payload,
        session,
        SessionStatus::Complete,
        PaymentStatus::Failed,
    )
}

pub(super) fn expired(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = SessionObject::of(payload)?;
    let payment = told_payment(payload, &session)?;
    record(payload, session, SessionStatus::Expired, payment)
}

/// What `payment_status` says. `failed` is no word of Stripe's, but ours.
fn told_payment(
    payload: &StripeEvent<'_>,
    session: &SessionObject,
) -> Result<PaymentStatus, PayloadError> {
    let word = session.payment_status.as_deref();
    decisive(payload, "payment_status", word, |word| {
        PaymentStatus::parse(word).filter(|payment| *payment != PaymentStatus::Failed)
    })
}

fn record(
    payload: &StripeEvent<'_>,
    session: SessionObject,
    status: SessionStatus,
    payment: PaymentStatus,
) -> Result<Changes, PayloadError> {
    let user = named_user(session.metadata_user, session.client_reference);
    Ok(super::record(Fact::CheckoutSession(CheckoutSession {
        id: session.id,
        named_user: named(payload, user)?,
        attributed_user: None,
        customer: session.customer,
        payment_intent: session.payment_intent,
        subscription: session.subscription,
        mode: session.mode,
        status,
        payment,
        amount_total: session.amount_total,
        currency: session.currency,
        livemode: session.livemode,
        created_at: session.created,
        updated_at: payload.created()?,
    })))
}

/// The user that a session names. Metadata is ours and is taken at its word. The reference may be a
/// cart's, or typed by the customer, so it counts only where it looks like what Clerk gives out.
fn named_user(metadata: Option<UserId>, reference: Option<UserId>) -> Option<UserId> {
    metadata.or_else(|| reference.filter(UserId::is_clerk_form))
}
