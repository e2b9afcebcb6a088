//! How much of a charge there was to give back.

use hookmirror::model::payment::Fact;
use serde_json::{Value, json};

use super::{fact, stripe};

/// What was taken, by an event with these values.
fn taken(amount: i64, captured: Value, refunded: i64, all: Value) -> i64 {
    let plan = stripe(
        "charge.refunded",
        &[
            ("/data/object/amount", Some(json!(amount))),
            ("/data/object/amount_captured", Some(captured)),
            ("/data/object/amount_refunded", Some(json!(refunded))),
            ("/data/object/refunded", Some(all)),
        ],
    );
    match fact(plan) {
        Fact::Charge(charge) => {
            assert_eq!(charge.amount_refunded, refunded);
            charge.amount
        }
        other => panic!("a charge was expected: {other:?}"),
    }
}

#[test]
fn what_was_captured_counts_else_what_was_asked_for() {
    let null = Value::Null;
    for (captured, all, expected) in [
        (json!(5000), json!(false), 5000),
        (json!(3000), json!(false), 3000),
        (json!(3000), null.clone(), 3000),
        (null.clone(), json!(false), 5000),
        (null.clone(), null, 5000),
        // An authorisation that was called off: nothing was captured.
        (json!(0), json!(false), 5000),
    ] {
        assert_eq!(
            taken(5000, captured.clone(), 1000, all),
            expected,
            "{captured}"
        );
    }
}

/// Of 5000 asked for, 3000 were captured.
#[test]
fn whether_all_was_given_back_is_for_stripe_to_say() {
    // The rest counts as refunded here: 2000 of it, and 1000 of what was captured.
    assert_eq!(taken(5000, json!(3000), 3000, json!(false)), 5000);
    assert_eq!(taken(5000, json!(3000), 5000, json!(true)), 5000);
    // It does not count here.
    assert_eq!(taken(5000, json!(3000), 3000, json!(true)), 3000);
    assert_eq!(taken(5000, json!(3000), 2999, json!(false)), 3000);
    // Nothing is never all.
    assert_eq!(taken(5000, json!(3000), 0, json!(true)), 3000);
}
