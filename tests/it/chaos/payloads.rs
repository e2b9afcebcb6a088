//! Payloads of the repository, told of somebody else.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use hookmirror::model::event::{EventId, EventType};
use hookmirror::model::source::Provider;
use hookmirror::sender::Delivery;
use serde_json::{Value, json};

use crate::fixtures;

/// Each is read once.
static STRIPE: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let names = fixtures::names("stripe").into_iter();
    names
        .map(|name| (name.clone(), fixtures::json("stripe", &name)))
        .collect()
});
static USER: LazyLock<Value> =
    LazyLock::new(|| fixtures::json("clerk", "user.created")["data"].clone());

/// An event of Stripe's of a type that has a payload here; `changes` are fields of its object.
pub(super) fn stripe(
    event_type: &str,
    id: &str,
    created: i64,
    changes: &[(&str, Value)],
) -> Delivery {
    let mut event = STRIPE[event_type].clone();
    event["id"] = json!(id);
    event["created"] = json!(created);
    let object = &mut event["data"]["object"];
    for (field, value) in changes {
        object[*field] = value.clone();
    }
    delivery(Provider::Stripe, event_type, id, event.to_string())
}

/// The text of a user, exactly as it stands in the body.
pub(super) fn user(id: &str, first_name: &str, updated_at: i64) -> String {
    let mut user = USER.clone();
    user["id"] = json!(id);
    user["first_name"] = json!(first_name);
    user["updated_at"] = json!(updated_at);
    user.to_string()
}

/// An event of Clerk's with this text as its `data`.
pub(super) fn clerk(event_type: &str, id: &str, timestamp: i64, data: &str) -> Delivery {
    let body = format!(
        r#"{{"data":{data},"object":"event","timestamp":{timestamp},"type":"{event_type}"}}"#
    );
    delivery(Provider::Clerk, event_type, id, body)
}

fn delivery(provider: Provider, event_type: &str, id: &str, body: String) -> Delivery {
    Delivery {
        source: provider.into(),
        id: EventId::parse(id).unwrap(),
        event_type: EventType::parse(event_type).unwrap(),
        body: Bytes::from(body),
    }
}
