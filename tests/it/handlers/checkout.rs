//! Checkout Sessions in the shapes that Stripe's reference leaves open.

use hookmirror::model::changes::{Changes, IgnoreReason};
use hookmirror::model::payment::{CheckoutSession, PaymentStatus, SessionStatus};
use hookmirror::model::source::Provider;
use serde_json::{Value, json};

use super::{blamed, changed, invalid, plan_of, recorded};
use crate::fixtures::{CUSTOMER, USER};

const COMPLETED: &str = "checkout.session.completed";
const SUCCEEDED: &str = "checkout.session.async_payment_succeeded";
const FAILED: &str = "checkout.session.async_payment_failed";
const EXPIRED: &str = "checkout.session.expired";

fn completed(pointer: &str, to: impl Into<Option<Value>>) -> CheckoutSession {
    let body = changed(Provider::Stripe, COMPLETED, pointer, to.into());
    recorded(plan_of(Provider::Stripe, COMPLETED, &body))
}

fn refused(pointer: &str, to: impl Into<Option<Value>>) -> (&'static str, Option<String>) {
    let body = changed(Provider::Stripe, COMPLETED, pointer, to.into());
    blamed(plan_of(Provider::Stripe, COMPLETED, &body))
}

#[test]
fn status_and_payment_follow_from_type_and_word() {
    use PaymentStatus::{Failed, NoPaymentRequired, Paid, Unpaid};
    use SessionStatus::{Complete, Expired};
    for (event_type, word, status, payment) in [
        (COMPLETED, "paid", Complete, Paid),
        (COMPLETED, "unpaid", Complete, Unpaid),
        (
            COMPLETED,
            "no_payment_required",
            Complete,
            NoPaymentRequired,
        ),
        (SUCCEEDED, "paid", Complete, Paid),
        (SUCCEEDED, "unpaid", Complete, Paid),
        (SUCCEEDED, "a word of the future", Complete, Paid),
        (FAILED, "unpaid", Complete, Failed),
        (FAILED, "paid", Complete, Failed),
        (EXPIRED, "unpaid", Expired, Unpaid),
        (EXPIRED, "no_payment_required", Expired, NoPaymentRequired),
    ] {
        let pointer = "/data/object/payment_status";
        let mut body = changed(Provider::Stripe, event_type, pointer, Some(json!(word)));
        body["data"]["object"]["status"] = json!("a word of the future");
        let session = recorded(plan_of(Provider::Stripe, event_type, &body));
        assert_eq!(
            (session.status, session.payment),
            (status, payment),
            "{event_type} {word}"
        );
    }
}

#[test]
fn a_payment_status_that_is_not_known_grants_nothing() {
    let pointer = "/data/object/payment_status";
    let place = invalid("data.object.payment_status");
    for odd in [
        json!("PAID"),
        json!("paid "),
        json!(""),
        json!("failed"),
        json!(true),
    ] {
        assert_eq!(refused(pointer, odd), place);
    }
    assert_eq!(refused(pointer, None), place);
    assert_eq!(refused(pointer, Value::Null), place);
}

#[test]
fn other_objects_are_given_by_id_or_expanded() {
    for (field, read) in [
        (
            "customer",
            (|s| s.customer) as fn(CheckoutSession) -> Option<String>,
        ),
        ("payment_intent", |s| s.payment_intent),
        ("subscription", |s| s.subscription),
    ] {
        let pointer = format!("/data/object/{field}");
        let place = format!("data.object.{field}");
        for (to, expected) in [
            (Some(json!("x_1")), Some("x_1")),
            (
                Some(json!({"id": "x_1", "object": field, "deleted": true})),
                Some("x_1"),
            ),
            (Some(Value::Null), None),
            (None, None),
        ] {
            assert_eq!(
                read(completed(&pointer, to.clone())).as_deref(),
                expected,
                "{to:?}"
            );
        }
        // An id that is empty or absurd would be shared by strangers.
        for odd in [
            json!(""),
            json!(" "),
            json!(7),
            json!(["x_1"]),
            json!("x".repeat(256)),
        ] {
            assert_eq!(refused(&pointer, odd), invalid(&place));
        }
        for odd in [json!({}), json!({"id": null}), json!({"id": 7})] {
            assert_eq!(refused(&pointer, odd), invalid(&format!("{place}.id")));
        }
    }
}

fn named(user_id: Option<Value>, reference: Option<Value>) -> Option<String> {
    let pointer = "/data/object/client_reference_id";
    let mut body = changed(Provider::Stripe, COMPLETED, pointer, reference);
    let metadata = body["data"]["object"]["metadata"].as_object_mut().unwrap();
    metadata.clear();
    metadata.extend(user_id.map(|id| ("userId".to_owned(), id)));
    let session = recorded(plan_of(Provider::Stripe, COMPLETED, &body));
    session.named_user.map(|named| named.id.to_string())
}

#[test]
fn the_user_is_named_by_metadata_else_by_a_reference_that_looks_like_clerks() {
    let long = "user_".to_owned() + &"x".repeat(251);
    for (user_id, reference, expected) in [
        (Some(json!("user_a")), Some(json!("user_b")), Some("user_a")),
        (Some(json!("own-7")), Some(json!("user_b")), Some("own-7")),
        (None, Some(json!("user_b")), Some("user_b")),
        (None, Some(json!("cart-17")), None),
        (None, Some(json!("User_b")), None),
        (None, Some(json!("user_b c")), None),
        (None, Some(json!(long)), None),
        (None, Some(json!(17)), None),
        (None, Some(Value::Null), None),
        (None, None, None),
        (Some(json!("")), Some(json!("user_b")), Some("user_b")),
        (Some(json!("   ")), Some(json!("user_b")), Some("user_b")),
        (Some(json!(" user_a ")), None, None),
        (Some(json!(null)), Some(json!("user_b")), Some("user_b")),
        (Some(json!(42)), Some(json!("user_b")), Some("user_b")),
    ] {
        let named = named(user_id.clone(), reference.clone());
        assert_eq!(named.as_deref(), expected, "{user_id:?} {reference:?}");
    }
}

/// The address is never a name: whoever types it would be paid for.
#[test]
fn an_address_names_nobody() {
    assert_eq!(named(None, None), None);
    let session = completed("/data/object/metadata", Value::Null);
    assert_eq!(
        session.named_user.unwrap().id.as_str(),
        USER,
        "by the reference"
    );
}

#[test]
fn both_times_and_the_id_are_required() {
    for to in [None, Some(Value::Null)] {
        assert_eq!(refused("/created", to.clone()), invalid("created"));
        assert_eq!(
            refused("/data/object/created", to.clone()),
            invalid("data.object.created")
        );
        assert_eq!(
            refused("/data/object/id", to.clone()),
            invalid("data.object.id")
        );
        assert_eq!(refused("/data/object", to.clone()), invalid("data.object"));
        assert_eq!(refused("/data", to), invalid("data"));
    }
    let iso = json!("2026-11-02T09:35:02Z");
    assert_eq!(refused("/created", iso), invalid("created"));
    // Stripe counts in seconds; this is a time in milliseconds.
    let millis = json!(1_793_612_102_000_i64);
    assert_eq!(refused("/created", millis), invalid("created"));
}

#[test]
fn livemode_is_the_sessions_else_the_events_else_false() {
    for (session, event, expected) in [
        (Some(true), Some(false), true),
        (Some(false), Some(true), false),
        (None, Some(true), true),
        (None, None, false),
    ] {
        let event = event.map(Value::from);
        let mut body = changed(Provider::Stripe, COMPLETED, "/livemode", event);
        body["data"]["object"]["livemode"] = session.into();
        let recorded = recorded(plan_of(Provider::Stripe, COMPLETED, &body));
        assert_eq!(recorded.livemode, expected);
    }
}

#[test]
fn what_is_not_used_may_be_anything() {
    for pointer in [
        "/api_version",
        "/data/object/total_details",
        "/data/object/customer_details",
        "/data/object/status",
        "/request",
    ] {
        let session = completed(pointer, json!([{"never": ["seen", 1e300]}]));
        assert_eq!(session.customer.as_deref(), Some(CUSTOMER), "{pointer}");
    }
}

#[test]
fn a_thin_event_is_ignored_whatever_it_is_called() {
    let body = changed(
        Provider::Stripe,
        COMPLETED,
        "/object",
        Some(json!("v2.core.event")),
    );
    let plan = plan_of(Provider::Stripe, COMPLETED, &body);
    assert_eq!(plan.result, Ok(Changes::Ignore(IgnoreReason::ThinEvent)));
}
