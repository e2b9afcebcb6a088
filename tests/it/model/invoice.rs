//! What is known of an invoice only grows.

use hookmirror::model::payment::{Invoice, InvoiceStatus, PaymentFact};
use hookmirror::model::time::Timestamp;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{merge_laws, time, word};

fn account() -> impl Strategy<Value = Invoice> {
    let links = (word(&["sub_1", "sub_2"]), word(&["pi_1", "pi_2"]));
    let reason = word(&["subscription_cycle", "subscription_update"]);
    let money = (option::of(0_i64..3), word(&["eur", "usd"]), any::<bool>());
    let status = select(InvoiceStatus::ALL);
    (links, reason, status, money, time(), time()).prop_map(
        |(links, billing_reason, status, money, created_at, updated_at)| Invoice {
            id: "in_1".to_owned(),
            subscription: links.0,
            payment_intent: links.1,
            billing_reason,
            status,
            amount_paid: money.0,
            currency: money.1,
            livemode: money.2,
            created_at,
            updated_at,
        },
    )
}

merge_laws!(account());

proptest! {
    #[test]
    fn merge_only_climbs(a in account(), b in account()) {
        let joined = a.clone().merge(b.clone());
        for account in [a, b] {
            prop_assert!(joined.status >= account.status);
            prop_assert!(joined.amount_paid >= account.amount_paid);
            prop_assert!(joined.updated_at >= account.updated_at);
            prop_assert!(joined.subscription.is_some() || account.subscription.is_none());
            prop_assert!(joined.payment_intent.is_some() || account.payment_intent.is_none());
            prop_assert!(joined.brought_money() || !account.brought_money());
        }
    }
}

fn invoice(status: InvoiceStatus, amount_paid: Option<i64>, reason: Option<&str>) -> Invoice {
    Invoice {
        id: "in_1".to_owned(),
        subscription: None,
        payment_intent: None,
        billing_reason: reason.map(str::to_owned),
        status,
        amount_paid,
        currency: None,
        livemode: false,
        created_at: Timestamp::from_seconds(0),
        updated_at: Timestamp::from_seconds(0),
    }
}

#[test]
fn a_free_period_brings_no_money() {
    for (status, amount, expected) in [
        (InvoiceStatus::Paid, Some(1), true),
        (InvoiceStatus::Paid, Some(0), false),
        (InvoiceStatus::Paid, None, false),
        (InvoiceStatus::Open, Some(1), false),
        (InvoiceStatus::Uncollectible, Some(1), false),
        (InvoiceStatus::Void, Some(1), false),
    ] {
        assert_eq!(
            invoice(status, amount, None).brought_money(),
            expected,
            "{status}"
        );
    }
}

#[test]
fn a_change_within_a_period_is_no_period() {
    for (reason, expected) in [
        (Some("subscription_create"), true),
        (Some("subscription_cycle"), true),
        (Some("quote_accept"), true),
        (Some("subscription"), true),
        (None, true),
        (Some("subscription_update"), false),
        (Some("subscription_threshold"), false),
        (Some("manual"), false),
        (Some("a word of the future"), false),
    ] {
        let invoice = invoice(InvoiceStatus::Paid, Some(1), reason);
        assert_eq!(invoice.is_for_a_period(), expected, "{reason:?}");
    }
}
