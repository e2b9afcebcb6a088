//! Who has paid: the table, and that order means nothing to it.

use hookmirror::model::entitlement::{self, Entitlement, PaymentState, Policy, desired_metadata};
use hookmirror::model::payment::{CheckoutSession, Fact, PaymentStatus, SessionStatus};
use hookmirror::model::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::{PAYMENTS, STATUSES, sessions};

fn session(
    id: &str,
    payment: PaymentStatus,
    status: SessionStatus,
    mode: &str,
    opened: i64,
) -> CheckoutSession {
    CheckoutSession {
        id: id.to_owned(),
        named_user: None,
        attributed_user: None,
        customer: None,
        payment_intent: None,
        subscription: None,
        mode: Some(mode.to_owned()),
        status,
        payment,
        amount_total: None,
        currency: None,
        livemode: true,
        created_at: Timestamp::from_seconds(opened),
        updated_at: Timestamp::from_seconds(opened),
    }
}

fn decide(sessions: &[CheckoutSession]) -> Option<Entitlement> {
    let facts = sessions
        .iter()
        .cloned()
        .map(Fact::CheckoutSession)
        .collect();
    entitlement::decide(&facts, Policy::default())
}

#[test]
fn one_session_decides_by_this_table() {
    use PaymentStatus::{Failed, NoPaymentRequired, Paid, Unpaid};
    use SessionStatus::{Complete, Expired};
    let mut rows = 0;
    for status in STATUSES {
        for payment in PAYMENTS {
            for mode in ["payment", "subscription", "setup", "a word of the future"] {
                let paid = match (payment, status, mode) {
                    (Paid, _, _) => true,
                    (NoPaymentRequired, Complete, "setup") => false,
                    (NoPaymentRequired, Complete, _) => true,
                    (NoPaymentRequired, Expired, _) | (Unpaid | Failed, _, _) => false,
                };
                let session = session("cs_1", payment, status, mode, 1);
                let entitlement = decide(std::slice::from_ref(&session)).unwrap();
                assert_eq!(entitlement.paid, paid, "{payment} {status} {mode}");
                let due = match (payment, status, mode) {
                    (Paid, _, _) => PaymentState::Paid,
                    (Failed, _, _) => PaymentState::Failed,
                    (NoPaymentRequired, Complete, _) => PaymentState::NoPaymentRequired,
                    (NoPaymentRequired, Expired, _) | (Unpaid, _, _) => PaymentState::Unpaid,
                };
                assert_eq!(entitlement.payment, due, "{payment} {status} {mode}");
                assert_eq!(entitlement.status, status.as_str());
                assert_eq!(entitlement.checkout_session_id.as_deref(), Some("cs_1"));
                assert_eq!(entitlement.subscription_id, None);
                assert!(
                    entitlement.reason.contains("cs_1"),
                    "{}",
                    entitlement.reason
                );
                rows += 1;
            }
        }
    }
    assert_eq!(rows, 32);
}

#[test]
fn without_sessions_there_is_no_entitlement() {
    assert_eq!(decide(&[]), None);
    assert_eq!(desired_metadata(None), json!({ "stripe": null }));
}

#[test]
fn a_session_that_grants_decides_over_newer_ones_that_do_not() {
    use PaymentStatus::{Paid, Unpaid};
    use SessionStatus::{Complete, Expired};
    let deciding =
        |sessions: &[CheckoutSession]| decide(sessions).unwrap().checkout_session_id.unwrap();
    let paid = session("cs_paid", Paid, Complete, "payment", 1);
    let later = session("cs_later", Unpaid, Expired, "payment", 2);
    assert_eq!(deciding(&[paid.clone(), later.clone()]), "cs_paid");

    let latest = session("cs_latest", Unpaid, Complete, "payment", 3);
    assert_eq!(deciding(&[latest.clone(), later.clone()]), "cs_latest");

    let again = session("cs_again", Paid, Complete, "payment", 2);
    assert_eq!(deciding(&[again, paid, later, latest]), "cs_again");
}

#[test]
fn clerk_is_told_the_sessions_own_words() {
    let session = session(
        "cs_1",
        PaymentStatus::Paid,
        SessionStatus::Complete,
        "payment",
        1,
    );
    let desired = desired_metadata(decide(&[session]).as_ref());
    let expected = json!({"stripe": {"status": "complete", "payment": "paid", "paid": true}});
    assert_eq!(desired, expected);
}

proptest! {
    #[test]
    fn order_does_not_matter(
        (one, other) in sessions().prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
    ) {
        prop_assert_eq!(decide(&one), decide(&other));
    }

    #[test]
    fn a_user_is_paid_if_any_session_grants(sessions in sessions()) {
        let paid = decide(&sessions).is_some_and(|entitlement| entitlement.paid);
        prop_assert_eq!(paid, sessions.iter().any(CheckoutSession::grants));
    }
}
