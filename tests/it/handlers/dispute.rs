//! Disputes: the status decides, whatever the event is called.

use hookmirror::model::payment::{Dispute, DisputeStatus, Fact};
use serde_json::{Value, json};

use super::{blamed, fact, invalid, stripe};

const STATUS: &str = "/data/object/status";

const TYPES: [&str; 5] = [
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
];

fn dispute(event_type: &str, changes: &[(&str, Option<Value>)]) -> Dispute {
    match fact(stripe(event_type, changes)) {
        Fact::Dispute(dispute) => dispute,
        other => panic!("a dispute was expected: {other:?}"),
    }
}

#[test]
fn every_word_of_the_status_is_taken_from_every_type() {
    for event_type in TYPES {
        for word in DisputeStatus::ALL {
            let told = dispute(event_type, &[(STATUS, Some(json!(word.as_str())))]);
            assert_eq!(told.status, *word, "{event_type}");
        }
    }
}

#[test]
fn without_a_known_status_the_event_fails() {
    let odd = [
        json!("Lost"),
        json!("closed"),
        json!(""),
        json!(false),
        Value::Null,
    ];
    for event_type in TYPES {
        for said in odd.clone().map(Some).into_iter().chain([None]) {
            let plan = stripe(event_type, &[(STATUS, said)]);
            assert_eq!(blamed(plan), invalid("data.object.status"));
        }
    }
}

#[test]
fn amount_reason_and_payment_may_be_missing() {
    let told = dispute(
        "charge.dispute.closed",
        &[
            ("/data/object/amount", None),
            ("/data/object/currency", None),
            ("/data/object/reason", Some(Value::Null)),
            ("/data/object/payment_intent", Some(json!({"id": "pi_1"}))),
            ("/data/object/charge", None),
        ],
    );
    assert_eq!(
        (told.amount, told.currency, told.reason),
        (None, None, None)
    );
    assert_eq!(told.payment_intent.as_deref(), Some("pi_1"));
    assert_eq!(told.charge, None);
}
