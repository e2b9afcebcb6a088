//! What the providers tell, in few words.

use hookmirror::model::event::{Event, EventType};
use serde_json::{Value, json};

use crate::support::given::{at, event};

/// Seconds since the epoch at the beginning of every scenario.
fn second(seconds: i64) -> i64 {
    at(seconds).as_seconds()
}

fn with(id: &str, event_type: &str, body: &Value) -> Event {
    Event {
        event_type: EventType::parse(event_type).unwrap(),
        body: body.to_string().into(),
        ..event(id, event_type)
    }
}

/// Clerk tells how a user is.
pub(super) fn user(id: &str, user: &str, updated_at: i64) -> Event {
    let data = json!({
        "id": user,
        "object": "user",
        "first_name": format!("name at {updated_at}"),
        "updated_at": at(updated_at).as_millis(),
    });
    let body = json!({ "type": "user.updated", "object": "event", "data": data });
    with(id, "user.updated", &body)
}

/// Clerk tells that a user is gone.
pub(super) fn deletion(id: &str, user: &str, deleted_at: i64) -> Event {
    let data = json!({ "id": user, "object": "user", "deleted": true });
    let timestamp = at(deleted_at).as_millis();
    let body = json!({ "type": "user.deleted", "timestamp": timestamp, "data": data });
    with(id, "user.deleted", &body)
}

/// An authentic event that nobody can use.
pub(super) fn nonsense(id: &str) -> Event {
    let body = json!({ "type": "user.updated", "data": { "id": 7 } });
    with(id, "user.updated", &body)
}

/// An event of a type that nothing is made of.
pub(super) fn unhandled(id: &str) -> Event {
    let body = json!({ "type": "session.created", "data": { "id": "sess_1" } });
    with(id, "session.created", &body)
}

fn stripe(id: &str, event_type: &str, object: Value) -> Event {
    let body = json!({
        "id": id,
        "object": "event",
        "type": event_type,
        "created": second(1),
        "livemode": false,
        "data": { "object": object },
    });
    with(id, event_type, &body)
}

/// A checkout that is paid, by this customer and for this user, as far as it tells.
pub(super) fn checkout(
    id: &str,
    session: &str,
    customer: Option<&str>,
    user: Option<&str>,
) -> Event {
    let object = json!({
        "id": session,
        "object": "checkout.session",
        "created": second(0),
        "customer": customer,
        "client_reference_id": user,
        "mode": "payment",
        "payment_intent": format!("pi_{session}"),
        "payment_status": "paid",
        "amount_total": 4900,
        "currency": "eur",
        "livemode": false,
    });
    stripe(id, "checkout.session.completed", object)
}

/// A subscription of this user whose renewal is late.
pub(super) fn late_subscription(id: &str, subscription: &str, user: &str) -> Event {
    let object = json!({
        "id": subscription,
        "object": "subscription",
        "created": second(0),
        "status": "past_due",
        "metadata": { "userId": user },
        "livemode": false,
    });
    stripe(id, "customer.subscription.updated", object)
}
