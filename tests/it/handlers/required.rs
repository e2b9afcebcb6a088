//! What an object cannot do without, and what each of its fields must be.

use serde_json::{Value, json};

use super::{blamed, invalid, stripe};

/// Fields of `data.object` that are needed.
const REQUIRED: &[(&str, &[&str])] = &[
    ("customer.updated", &["id"]),
    (
        "customer.subscription.updated",
        &["id", "created", "status"],
    ),
    ("customer.subscription.deleted", &["id", "created"]),
    ("invoice.paid", &["id", "created"]),
    ("invoice.payment_failed", &["id", "created"]),
    ("invoice_payment.paid", &["invoice", "created"]),
    ("refund.updated", &["id", "amount", "created"]),
    ("refund.failed", &["id", "amount", "created"]),
    (
        "charge.refunded",
        &["id", "amount", "amount_refunded", "created"],
    ),
    ("charge.dispute.closed", &["id", "status", "created"]),
];

/// Fields of `data.object` that may be missing, but not be of another kind.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("customer.updated", &["metadata"]),
    (
        "customer.subscription.updated",
        &[
            "customer",
            "cancel_at",
            "cancel_at_period_end",
            "current_period_end",
            "livemode",
            "metadata",
        ],
    ),
    ("customer.subscription.created", &["items"]),
    (
        "invoice.payment_succeeded",
        &[
            "subscription",
            "payment_intent",
            "billing_reason",
            "amount_paid",
            "currency",
            "livemode",
        ],
    ),
    ("invoice.paid", &["parent", "payments"]),
    (
        "invoice_payment.paid",
        &["payment", "amount_paid", "currency", "livemode"],
    ),
    (
        "refund.updated",
        &["payment_intent", "charge", "currency", "status"],
    ),
    (
        "charge.refunded",
        &[
            "payment_intent",
            "amount_captured",
            "refunded",
            "currency",
            "livemode",
        ],
    ),
    (
        "charge.dispute.closed",
        &[
            "payment_intent",
            "charge",
            "amount",
            "currency",
            "reason",
            "livemode",
        ],
    ),
];

/// Of no kind that any field has.
fn odd() -> Value {
    json!([{"nobody": "reads this"}])
}

#[test]
fn a_needed_field_that_is_missing_or_odd_is_named() {
    for (event_type, fields) in REQUIRED {
        for field in *fields {
            let pointer = format!("/data/object/{field}");
            for to in [None, Some(Value::Null), Some(odd())] {
                let plan = stripe(event_type, &[(&pointer, to)]);
                let place = invalid(&format!("data.object.{field}"));
                assert_eq!(blamed(plan), place, "{event_type}");
            }
        }
        for to in [None, Some(Value::Null), Some(odd())] {
            let plan = stripe(event_type, &[("/created", to)]);
            assert_eq!(blamed(plan), invalid("created"), "{event_type}");
        }
    }
}

#[test]
fn another_field_may_be_missing_but_not_odd() {
    for (event_type, fields) in OPTIONAL {
        for field in *fields {
            let pointer = format!("/data/object/{field}");
            for to in [None, Some(Value::Null)] {
                let plan = stripe(event_type, &[(&pointer, to)]);
                assert!(plan.result.is_ok(), "{event_type} without {field}");
            }
            let plan = stripe(event_type, &[(&pointer, Some(odd()))]);
            let place = invalid(&format!("data.object.{field}"));
            assert_eq!(blamed(plan), place, "{event_type}");
        }
    }
}

#[test]
fn the_rest_may_be_anything() {
    for (event_type, pointer) in [
        ("customer.updated", "/data/object/email"),
        (
            "customer.subscription.updated",
            "/data/object/pause_collection",
        ),
        ("customer.subscription.updated", "/data/object/items"),
        ("invoice.payment_succeeded", "/data/object/lines"),
        ("invoice.payment_succeeded", "/data/object/parent"),
        ("invoice_payment.paid", "/data/object/status"),
        ("refund.updated", "/data/object/destination_details"),
        ("charge.refunded", "/data/object/refunds"),
        ("charge.refunded", "/data/object/invoice"),
        ("charge.dispute.closed", "/data/object/evidence"),
    ] {
        let plan = stripe(event_type, &[(pointer, Some(odd()))]);
        assert_eq!(plan.result, stripe(event_type, &[]).result, "{event_type}");
    }
}
