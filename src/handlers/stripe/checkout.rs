//! `checkout.session.completed`, `.async_payment_succeeded`, `.async_payment_failed`, `.expired`.
//!
//! Source: Stripe documentation, "Fulfill orders". `completed` means that the customer finished the
//! form; whether money came is in `payment_status`, which stays `unpaid` with delayed payment
//! methods until one of the two `async_payment` events tells the end of it.

use crate::model::changes::Changes;
use crate::model::payment::{CheckoutSession, Fact, NamedUser, PaymentStatus, SessionStatus};
use crate::model::user::UserId;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::{SessionObject, StripeEvent};

pub(super) fn completed(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = payload.session()?;
    let payment = told_payment(payload, &session)?;
    record(payload, session, SessionStatus::Complete, payment)
}

pub(super) fn payment_succeeded(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = payload.session()?;
    record(
        payload,
        session,
        SessionStatus::Complete,
        PaymentStatus::Paid,
    )
}

pub(super) fn payment_failed(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = payload.session()?;
    record(
        payload,
        session,
        SessionStatus::Complete,
        PaymentStatus::Failed,
    )
}

pub(super) fn expired(payload: &StripeEvent<'_>) -> Result<Changes, PayloadError> {
    let session = payload.session()?;
    let payment = told_payment(payload, &session)?;
    record(payload, session, SessionStatus::Expired, payment)
}

/// What `payment_status` says. A word that is new to us may mean anything, so it grants nothing and
/// refuses nothing: a person has to look. `failed` is such a word: it is ours, not Stripe's.
fn told_payment(
    payload: &StripeEvent<'_>,
    session: &SessionObject,
) -> Result<PaymentStatus, PayloadError> {
    let problem = match &session.payment_status {
        Some(word) => match PaymentStatus::parse(word) {
            Some(payment) if payment != PaymentStatus::Failed => return Ok(payment),
            _ => "is a word that this program does not know",
        },
        None => "is missing",
    };
    Err(payload.object_invalid("payment_status", problem))
}

fn record(
    payload: &StripeEvent<'_>,
    session: SessionObject,
    status: SessionStatus,
    payment: PaymentStatus,
) -> Result<Changes, PayloadError> {
    let told_at = payload.created()?;
    let named_user = named_user(session.metadata_user, session.client_reference)
        .map(|id| NamedUser { at: told_at, id });
    Ok(Changes::RecordPayment(Box::new(Fact::CheckoutSession(
        CheckoutSession {
            id: session.id,
            named_user,
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
            updated_at: told_at,
        },
    ))))
}

/// The user that a session names. Metadata is ours and is taken at its word. The reference may be a
/// cart's, or typed by the customer, so it counts only where it looks like what Clerk gives out.
fn named_user(metadata: Option<UserId>, reference: Option<UserId>) -> Option<UserId> {
    metadata.or_else(|| reference.filter(UserId::is_clerk_form))
}
