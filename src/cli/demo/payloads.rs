//! Payloads in the providers' shapes, cut down to what a story needs.
//!
//! Clerk: OpenAPI of the webhooks, `User` and `DeletedObject` (times in milliseconds). Stripe: API
//! reference, "The Event object", "The Checkout Session object" and "The Refund object" (times in
//! seconds).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::model::time::Timestamp;

/// A person of the story, as Clerk knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    /// `user_…`
    pub(super) id: &'static str,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) email: &'static str,
}

/// The whole body of `user.created` or `user.updated`.
pub(super) fn user(event_type: &str, person: Person, updated_at: Timestamp) -> Bytes {
    let email_id = person.id.replace("user_", "idn_");
    clerk(
        event_type,
        updated_at,
        json!({
            "id": person.id,
            "object": "user",
            "first_name": person.first_name,
            "last_name": person.last_name,
            "username": null,
            "image_url": "https://img.clerk.com/demo",
            "primary_email_address_id": email_id,
            "email_addresses": [{
                "id": email_id,
                "object": "email_address",
                "email_address": person.email,
                "verification": { "status": "verified", "strategy": "email_code" },
            }],
            "phone_numbers": [],
            "public_metadata": {},
            "private_metadata": {},
            "unsafe_metadata": {},
            "banned": false,
            "locked": false,
            "last_sign_in_at": null,
            "created_at": updated_at.as_millis() - 60_000,
            "updated_at": updated_at.as_millis(),
        }),
    )
}

/// The whole body of `user.deleted`: it says of whom, and nothing else.
pub(super) fn user_deleted(person: Person, at: Timestamp) -> Bytes {
    let data = json!({ "id": person.id, "object": "user", "deleted": true });
    clerk("user.deleted", at, data)
}

/// An event that hookmirror does not act on.
pub(super) fn session_created(person: Person, at: Timestamp) -> Bytes {
    let data = json!({
        "id": "sess_demo", "object": "session", "user_id": person.id, "status": "active",
    });
    clerk("session.created", at, data)
}

/// Authentic, but not what a user looks like: the id is a number.
pub(super) fn unintelligible(at: Timestamp) -> Bytes {
    let data = json!({ "id": 42, "object": "user", "updated_at": "yesterday" });
    clerk("user.updated", at, data)
}

fn clerk(event_type: &str, at: Timestamp, data: Value) -> Bytes {
    let body = json!({
        "object": "event",
        "type": event_type,
        "instance_id": "ins_demo",
        "timestamp": at.as_millis(),
        "data": data,
    });
    body.to_string().into()
}

/// A Checkout Session of the story.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkout {
    /// `cs_test_…`
    pub(super) id: &'static str,
    /// Whose it is, as the application told Stripe.
    pub(super) buyer: Person,
    pub(super) customer: &'static str,
    /// Smallest unit.
    pub(super) amount: i64,
}

/// The whole body of one of the `checkout.session.*` events.
pub(super) fn checkout(
    event_id: &str,
    event_type: &str,
    session: Checkout,
    status: &str,
    payment_status: &str,
    at: Timestamp,
) -> Bytes {
    stripe(
        event_id,
        event_type,
        at,
        json!({
            "id": session.id,
            "object": "checkout.session",
            "mode": "payment",
            "status": status,
            "payment_status": payment_status,
            "client_reference_id": session.buyer.id,
            "customer": session.customer,
            "payment_intent": payment_intent(session),
            "subscription": null,
            "metadata": {},
            "amount_total": session.amount,
            "currency": "eur",
            "livemode": false,
            "created": at.as_seconds() - 120,
        }),
    )
}

/// The whole body of `refund.created`: some of what a checkout brought.
pub(super) fn refund_created(
    event_id: &str,
    session: Checkout,
    (id, amount): (&str, i64),
    at: Timestamp,
) -> Bytes {
    stripe(
        event_id,
        "refund.created",
        at,
        json!({
            "id": id,
            "object": "refund",
            "amount": amount,
            "charge": session.id.replace("cs_test_", "ch_"),
            "created": at.as_seconds(),
            "currency": "eur",
            "payment_intent": payment_intent(session),
            "status": "succeeded",
        }),
    )
}

fn payment_intent(session: Checkout) -> String {
    session.id.replace("cs_test_", "pi_")
}

fn stripe(event_id: &str, event_type: &str, at: Timestamp, object: Value) -> Bytes {
    let body = json!({
        "id": event_id,
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": at.as_seconds(),
        "type": event_type,
        "livemode": false,
        "pending_webhooks": 1,
        "data": { "object": object },
    });
    body.to_string().into()
}
