//! Refunds in the shapes that Stripe's reference leaves open.

use hookmirror::model::payment::{Fact, Refund, RefundStatus};
use serde_json::{Value, json};

use super::{blamed, fact, invalid, stripe};

const STATUS: &str = "/data/object/status";

fn refund(event_type: &str, changes: &[(&str, Option<Value>)]) -> Refund {
    match fact(stripe(event_type, changes)) {
        Fact::Refund(refund) => refund,
        other => panic!("a refund was expected: {other:?}"),
    }
}

#[test]
fn every_word_of_the_status_is_known() {
    for event_type in ["refund.created", "refund.updated", "charge.refund.updated"] {
        for word in RefundStatus::ALL {
            let told = refund(event_type, &[(STATUS, Some(json!(word.as_str())))]);
            assert_eq!(told.status, *word, "{event_type}");
        }
    }
}

/// Seen in the wild: `refund.failed` with a refund that says `succeeded`.
#[test]
fn what_failed_has_failed_whatever_it_says() {
    let words = ["succeeded", "pending", "canceled", "a word of the future"];
    for said in words
        .map(|word| Some(json!(word)))
        .into_iter()
        .chain([None])
    {
        let told = refund("refund.failed", &[(STATUS, said.clone())]);
        assert_eq!(told.status, RefundStatus::Failed, "{said:?}");
    }
}

#[test]
fn a_refund_that_says_nothing_is_on_its_way() {
    for said in [None, Some(Value::Null)] {
        let told = refund("refund.updated", &[(STATUS, said)]);
        assert_eq!(told.status, RefundStatus::Pending);
    }
}

#[test]
fn an_unknown_word_fails_the_event() {
    for odd in [json!("SUCCEEDED"), json!("reversed"), json!(""), json!(1)] {
        let plan = stripe("refund.updated", &[(STATUS, Some(odd))]);
        assert_eq!(blamed(plan), invalid("data.object.status"));
    }
}

#[test]
fn payment_and_charge_are_given_by_id_expanded_or_not_at_all() {
    for (field, read) in [
        ("payment_intent", (|r| r.payment_intent) as fn(Refund) -> _),
        ("charge", |r| r.charge),
    ] {
        let pointer = format!("/data/object/{field}");
        for (to, expected) in [
            (Some(json!("x_1")), Some("x_1")),
            (Some(json!({"id": "x_1", "amount": {}})), Some("x_1")),
            (Some(Value::Null), None),
            (None, None),
        ] {
            let told: Option<String> = read(refund("refund.updated", &[(&pointer, to)]));
            assert_eq!(told.as_deref(), expected, "{field}");
        }
    }
}

/// A refund does not say whether it is about real money.
#[test]
fn livemode_is_the_events() {
    for livemode in [true, false] {
        let told = refund("refund.created", &[("/livemode", Some(json!(livemode)))]);
        assert_eq!(told.livemode, livemode);
    }
}
