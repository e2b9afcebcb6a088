//! What an event is filed under, and which bodies are not kept.

use hookmirror::model::source::Provider;
use serde_json::{Value, json};

use super::{plan, plan_of};
use crate::fixtures::event;

fn subject(provider: Provider, event_type: &str, data: Value) -> Option<String> {
    plan_of(provider, event_type, &json!({ "data": data })).subject
}

#[test]
fn clerk_is_filed_under_the_user_else_the_object() {
    let subject = |event_type, data| subject(Provider::Clerk, event_type, data);
    for (event_type, data, expected) in [
        (
            "user.updated",
            json!({"id": "user_1", "user_id": "no"}),
            Some("user_1"),
        ),
        ("user.future", json!({"id": "user_1"}), Some("user_1")),
        (
            "session.ended",
            json!({"id": "sess_1", "user_id": "user_1"}),
            Some("user_1"),
        ),
        (
            "session.ended",
            json!({"id": "sess_1", "user_id": null}),
            Some("sess_1"),
        ),
        ("role.created", json!({"id": "role_1"}), Some("role_1")),
        ("role.created", json!({"id": 1}), None),
        ("role.created", json!({"id": ""}), None),
        ("role.created", json!({"id": "a b"}), None),
        ("role.created", json!({"id": "x".repeat(256)}), None),
        ("role.created", json!([]), None),
        ("role.created", json!(null), None),
    ] {
        assert_eq!(
            subject(event_type, data.clone()).as_deref(),
            expected,
            "{event_type} {data}"
        );
    }
}

#[test]
fn stripe_is_filed_under_what_can_be_owned_else_the_customer_else_the_payment_else_the_object() {
    let subject =
        |event_type, object| subject(Provider::Stripe, event_type, json!({ "object": object }));
    for (event_type, object, expected) in [
        (
            "checkout.session.completed",
            json!({"id": "cs_1", "customer": "cus_1"}),
            Some("cs_1"),
        ),
        (
            "invoice.paid",
            json!({"id": "in_1", "customer": "cus_1"}),
            Some("cus_1"),
        ),
        (
            "invoice.paid",
            json!({"id": "in_1", "customer": {"id": "cus_1"}}),
            Some("cus_1"),
        ),
        (
            "invoice.paid",
            json!({"id": "in_1", "customer": null}),
            Some("in_1"),
        ),
        (
            "invoice.paid",
            json!({"id": "in_1", "customer": null, "payment_intent": "pi_1"}),
            Some("pi_1"),
        ),
        (
            "refund.created",
            json!({"id": "re_1", "customer": null, "payment_intent": "pi_1"}),
            Some("pi_1"),
        ),
        (
            "refund.created",
            json!({"id": "re_1", "customer": "cus_1", "payment_intent": "pi_1"}),
            Some("cus_1"),
        ),
        (
            "charge.dispute.closed",
            json!({"id": "du_1", "payment_intent": {"id": "pi_1"}}),
            Some("pi_1"),
        ),
        (
            "charge.dispute.closed",
            json!({"id": "du_1", "payment_intent": null, "charge": "ch_1"}),
            Some("du_1"),
        ),
        (
            "invoice_payment.paid",
            json!({"id": "inpay_1", "invoice": "in_1", "payment": {"payment_intent": "pi_1"}}),
            Some("pi_1"),
        ),
        (
            "invoice_payment.paid",
            json!({"id": "inpay_1", "invoice": "in_1", "payment": {"charge": "ch_1"}}),
            Some("inpay_1"),
        ),
        (
            "customer.subscription.updated",
            json!({"id": "sub_1", "customer": "cus_1"}),
            Some("sub_1"),
        ),
        (
            "customer.subscription.updated",
            json!({"id": "sub_1", "customer": null}),
            Some("sub_1"),
        ),
        ("customer.updated", json!({"id": "cus_1"}), Some("cus_1")),
        ("balance.available", json!({"object": "balance"}), None),
        ("balance.available", json!("?"), None),
    ] {
        let subject = subject(event_type, object.clone());
        assert_eq!(subject.as_deref(), expected, "{event_type} {object}");
    }
}

/// A failed event is found under its user all the same.
#[test]
fn an_event_that_fails_still_has_its_subject() {
    let body = json!({"data": {"id": "user_1"}});
    let plan = plan_of(Provider::Clerk, "user.updated", &body);
    assert!(plan.result.is_err());
    assert_eq!(plan.subject.as_deref(), Some("user_1"));
}

/// Not even when they cannot be read.
#[test]
fn bodies_with_one_time_codes_are_not_kept() {
    for (provider, event_type, keep) in [
        (Provider::Clerk, "email.created", false),
        (Provider::Clerk, "sms.created", false),
        (Provider::Clerk, "user.created", true),
        (Provider::Clerk, "unknown", true),
        (Provider::Stripe, "email.created", true),
        (Provider::Stripe, "invoice.paid", true),
    ] {
        for body in ["{}", "not JSON: 424242"] {
            let plan = plan(provider, &event(provider, event_type, body));
            assert_eq!(plan.keep_payload, keep, "{provider} {event_type} {body}");
        }
    }
}
