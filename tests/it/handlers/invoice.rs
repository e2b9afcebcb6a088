//! Invoices in both shapes, and the payments that stand apart from them.

use hookmirror::model::payment::{Fact, Invoice, InvoiceStatus, PaymentFact};
use serde_json::{Value, json};

use super::{blamed, fact, invalid, stripe};

const PAID: &str = "invoice.paid";
const SUCCEEDED: &str = "invoice.payment_succeeded";
const FAILED: &str = "invoice.payment_failed";
const LINK: &str = "invoice_payment.paid";
const STATUS: &str = "/data/object/status";
const INTENT: &str = "/data/object/payment_intent";

fn invoice(event_type: &str, changes: &[(&str, Option<Value>)]) -> Invoice {
    match fact(stripe(event_type, changes)) {
        Fact::Invoice(invoice) => invoice,
        other => panic!("an invoice was expected: {other:?}"),
    }
}

#[test]
fn what_is_paid_is_paid_whatever_it_says() {
    for event_type in [PAID, SUCCEEDED] {
        for said in [
            Some(json!("open")),
            Some(json!("a word of the future")),
            None,
        ] {
            let told = invoice(event_type, &[(STATUS, said)]);
            assert_eq!(told.status, InvoiceStatus::Paid);
        }
    }
}

#[test]
fn after_a_failure_every_word_of_the_status_is_known() {
    for word in InvoiceStatus::ALL {
        let told = invoice(FAILED, &[(STATUS, Some(json!(word.as_str())))]);
        assert_eq!(told.status, *word);
    }
    for said in [Some(json!("draft")), Some(Value::Null), None] {
        assert_eq!(
            invoice(FAILED, &[(STATUS, said)]).status,
            InvoiceStatus::Open
        );
    }
    for odd in [json!("Paid"), json!("deleted"), json!("")] {
        let plan = stripe(FAILED, &[(STATUS, Some(odd))]);
        assert_eq!(blamed(plan), invalid("data.object.status"));
    }
}

#[test]
fn the_subscription_is_the_invoices_own_or_its_parents() {
    let told = |event_type, own: Value, parent: Value| {
        let changes = [
            ("/data/object/subscription", Some(own)),
            ("/data/object/parent", Some(parent)),
        ];
        invoice(event_type, &changes).subscription
    };
    let of = |subscription: Value| json!({"subscription_details": {"subscription": subscription}});
    let some = |text: &str| Some(text.to_owned());
    let null = Value::Null;
    for event_type in [PAID, FAILED] {
        assert_eq!(
            told(event_type, json!("sub_1"), null.clone()),
            some("sub_1")
        );
        assert_eq!(
            told(event_type, json!({"id": "sub_1"}), null.clone()),
            some("sub_1")
        );
        assert_eq!(
            told(event_type, null.clone(), of(json!("sub_2"))),
            some("sub_2")
        );
        assert_eq!(
            told(event_type, null.clone(), of(json!({"id": "sub_2"}))),
            some("sub_2")
        );
        let quote = json!({"quote_details": {}, "subscription_details": null});
        assert_eq!(told(event_type, null.clone(), quote), None);
        assert_eq!(told(event_type, null.clone(), null.clone()), None);
    }
    let plan = stripe(PAID, &[("/data/object/parent", Some(of(json!(7))))]);
    let place = "data.object.parent.subscription_details.subscription";
    assert_eq!(blamed(plan), invalid(place));
}

#[test]
fn the_payment_is_the_invoices_own_or_the_greatest_that_was_paid() {
    let told = |own: Value, payments: Value| {
        let payments = json!({"object": "list", "data": payments});
        let changes = [
            (INTENT, Some(own)),
            ("/data/object/payments", Some(payments)),
        ];
        invoice(PAID, &changes).payment_intent
    };
    let entry = |intent: Value, status: Value, paid: Value| json!({"amount_paid": paid, "status": status, "payment": {"payment_intent": intent}});
    let some = |text: &str| Some(text.to_owned());
    let null = Value::Null;
    let (open, paid) = (json!("open"), json!("paid"));
    assert_eq!(
        told(
            json!("pi_1"),
            json!([entry(json!("pi_2"), paid.clone(), json!(9))])
        ),
        some("pi_1")
    );
    assert_eq!(told(json!({"id": "pi_1"}), json!([])), some("pi_1"));
    let two = json!([
        entry(json!("pi_9"), paid.clone(), json!(100)),
        entry(json!({"id": "pi_2"}), paid.clone(), json!(900)),
    ]);
    assert_eq!(told(null.clone(), two), some("pi_2"));
    let attempts = json!([
        entry(json!("pi_9"), open, null.clone()),
        entry(json!("pi_8"), json!("canceled"), json!(1900)),
        entry(json!("pi_1"), paid, json!(1900)),
    ]);
    assert_eq!(told(null.clone(), attempts), some("pi_1"));
    assert_eq!(
        told(
            null.clone(),
            json!([entry(json!("pi_1"), null.clone(), null.clone())])
        ),
        some("pi_1")
    );
    let by_charge = json!([{"status": "paid", "payment": {"type": "charge", "charge": "ch_1"}}]);
    assert_eq!(told(null.clone(), by_charge), None);
    assert_eq!(told(null, json!([])), None);
}

/// It could be given up for another one, and the first one's refund would then count.
#[test]
fn what_an_invoice_may_be_paid_with_does_not_count() {
    let told = invoice(FAILED, &[(INTENT, Some(json!("pi_1")))]);
    assert_eq!(told.payment_intent, None);
}

#[test]
fn a_payment_that_arrives_alone_pays_nothing() {
    let link = invoice(LINK, &[]);
    assert!(link.payment_intent.is_some());
    assert!(!link.brought_money());

    // Before and after the invoice, it is the same.
    let told = invoice(PAID, &[]);
    assert_eq!(told.payment_intent, None);
    let joined = told.clone().merge(link.clone());
    assert_eq!(joined, link.clone().merge(told.clone()));
    assert!(joined.brought_money());
    assert_eq!(joined.payment_intent, link.payment_intent);
    assert_eq!(joined.subscription, told.subscription);
    assert_eq!(joined.created_at, told.created_at);
}

#[test]
fn a_payment_made_elsewhere_links_nothing() {
    for payment in [
        Some(json!({"type": "charge", "charge": "ch_1"})),
        Some(json!({"type": "payment_record", "payment_record": "pr_1"})),
        Some(Value::Null),
        None,
    ] {
        let told = invoice(LINK, &[("/data/object/payment", payment)]);
        assert_eq!(told.payment_intent, None);
    }
    let expanded = json!({"payment_intent": {"id": "pi_1"}});
    let told = invoice(LINK, &[("/data/object/payment", Some(expanded))]);
    assert_eq!(told.payment_intent.as_deref(), Some("pi_1"));
    let expanded = json!({"id": "in_1", "object": "invoice"});
    let told = invoice(LINK, &[("/data/object/invoice", Some(expanded))]);
    assert_eq!(told.id, "in_1");
}
