//! Subscriptions in both shapes.

use hookmirror::model::payment::{Fact, Subscription, SubscriptionStatus};
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;
use serde_json::{Value, json};

use super::{blamed, fact, invalid, plan_of, stripe};
use crate::fixtures;

const STATUS: &str = "/data/object/status";
const UPDATED: &str = "customer.subscription.updated";
const DELETED: &str = "customer.subscription.deleted";

fn subscription(event_type: &str, changes: &[(&str, Option<Value>)]) -> Subscription {
    as_subscription(fact(stripe(event_type, changes)))
}

fn as_subscription(fact: Fact) -> Subscription {
    match fact {
        Fact::Subscription(subscription) => subscription,
        other => panic!("a subscription was expected: {other:?}"),
    }
}

#[test]
fn every_word_of_the_status_is_known() {
    for word in SubscriptionStatus::ALL {
        let told = subscription(UPDATED, &[(STATUS, Some(json!(word.as_str())))]);
        assert_eq!(told.status, *word);
    }
}

#[test]
fn without_a_known_status_the_event_fails() {
    for said in [
        Some(json!("ended")),
        Some(json!("")),
        Some(Value::Null),
        None,
    ] {
        let plan = stripe(UPDATED, &[(STATUS, said)]);
        assert_eq!(blamed(plan), invalid("data.object.status"));
    }
}

#[test]
fn what_is_deleted_has_ended_whatever_it_says() {
    use SubscriptionStatus::{Canceled, IncompleteExpired};
    for (said, expected) in [
        (Some(json!("canceled")), Canceled),
        (Some(json!("active")), Canceled),
        (Some(json!("incomplete_expired")), IncompleteExpired),
        (Some(json!("a word of the future")), Canceled),
        (None, Canceled),
    ] {
        let told = subscription(DELETED, &[(STATUS, said.clone())]);
        assert_eq!(told.status, expected, "{said:?}");
    }
}

/// All types carry the subscription; those that do not exist yet will.
#[test]
fn a_type_of_the_future_tells_the_state_as_well() {
    for event_type in ["customer.subscription.future", "customer.subscription.a.b"] {
        let body = fixtures::json("stripe", UPDATED);
        let told = as_subscription(fact(plan_of(Provider::Stripe, event_type, &body)));
        assert_eq!(told, subscription(UPDATED, &[]));
    }
}

fn period_end(own: Value, items: Value) -> Option<i64> {
    let told = subscription(
        UPDATED,
        &[
            ("/data/object/current_period_end", Some(own)),
            ("/data/object/items", Some(items)),
        ],
    );
    told.current_period_end.map(Timestamp::as_seconds)
}

#[test]
fn the_period_ends_with_the_subscriptions_else_with_the_latest_items() {
    let items = |ends: &[i64]| {
        let all = ends.iter().map(|end| json!({"current_period_end": end}));
        json!({"data": all.collect::<Vec<_>>()})
    };
    let null = Value::Null;
    assert_eq!(period_end(json!(7), items(&[9])), Some(7));
    assert_eq!(period_end(json!(7), null.clone()), Some(7));
    assert_eq!(period_end(null.clone(), items(&[3, 9, 5])), Some(9));
    assert_eq!(
        period_end(
            null.clone(),
            json!({"data": [{}, {"current_period_end": 5}]})
        ),
        Some(5)
    );
    assert_eq!(period_end(null.clone(), items(&[])), None);
    assert_eq!(period_end(null.clone(), json!({})), None);
    assert_eq!(period_end(null.clone(), null), None);

    let odd = json!({"data": [{"current_period_end": "2026-12-09"}]});
    let plan = stripe(
        "customer.subscription.created",
        &[("/data/object/items", Some(odd))],
    );
    let place = "data.object.items.data[].current_period_end";
    assert_eq!(blamed(plan), invalid(place));
}

#[test]
fn an_end_that_is_set_is_read_and_may_be_missing() {
    let pointers = ["cancel_at", "cancel_at_period_end"].map(|name| format!("/data/object/{name}"));
    let told = |at: Option<Value>, with_period: Option<Value>| {
        let told = subscription(UPDATED, &[(&pointers[0], at), (&pointers[1], with_period)]);
        (
            told.cancel_at.map(Timestamp::as_seconds),
            told.cancel_at_period_end,
        )
    };
    assert_eq!(told(Some(json!(7)), Some(json!(true))), (Some(7), true));
    assert_eq!(told(Some(json!(7)), Some(json!(false))), (Some(7), false));
    assert_eq!(told(None, None), (None, false));
    assert_eq!(told(Some(Value::Null), Some(Value::Null)), (None, false));
}

/// Stripe stops collecting; what it calls active is.
#[test]
fn collection_that_is_paused_changes_nothing() {
    let pause = json!({"behavior": "void", "resumes_at": null});
    let paused = subscription(UPDATED, &[("/data/object/pause_collection", Some(pause))]);
    assert_eq!(paused, subscription(UPDATED, &[]));
}

#[test]
fn customer_and_user_are_read_where_they_are_there() {
    let told = |customer: Value, metadata: Value| {
        let told = subscription(
            UPDATED,
            &[
                ("/data/object/customer", Some(customer)),
                ("/data/object/metadata", Some(metadata)),
            ],
        );
        (told.customer, told.named_user.map(|named| named.id))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(told(json!("cus_1"), json!({})), (some("cus_1"), None));
    let own = UserId::parse("own-7");
    let expanded = json!({"id": "cus_1", "deleted": true});
    assert_eq!(
        told(expanded, json!({"userId": "own-7"})),
        (some("cus_1"), own)
    );
    assert_eq!(told(Value::Null, json!({"userId": " "})), (None, None));
}
