//! When a payment is taken back: refunds and disputes, and what is known of the charge.

use hookmirror::model::entitlement::{Policy, Rule, decide};
use hookmirror::model::payment::{
    Charge, CheckoutSession, Dispute, DisputeStatus, Fact, Facts, Invoice, InvoiceStatus,
    PaymentStatus, Refund, RefundStatus, SessionStatus, Subscription, SubscriptionStatus,
};
use hookmirror::model::time::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A checkout of 100, paid with `pi_1`.
fn bought() -> Fact {
    Fact::CheckoutSession(CheckoutSession {
        id: "cs_1".to_owned(),
        named_user: None,
        attributed_user: None,
        customer: None,
        payment_intent: some("pi_1"),
        subscription: None,
        mode: some("payment"),
        status: SessionStatus::Complete,
        payment: PaymentStatus::Paid,
        amount_total: Some(100),
        currency: some("eur"),
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    })
}

fn refund(id: &str, amount: i64, status: RefundStatus, created: i64, told: i64) -> Fact {
    Fact::Refund(Refund {
        id: id.to_owned(),
        payment_intent: some("pi_1"),
        charge: some("ch_1"),
        amount,
        currency: some("eur"),
        status,
        livemode: false,
        created_at: at(created),
        updated_at: at(told),
    })
}

fn charge(amount: i64, amount_refunded: i64, told: i64) -> Fact {
    Fact::Charge(Charge {
        id: "ch_1".to_owned(),
        payment_intent: some("pi_1"),
        amount,
        amount_refunded,
        currency: some("eur"),
        livemode: false,
        created_at: at(1),
        updated_at: at(told),
    })
}

fn dispute(status: DisputeStatus) -> Fact {
    Fact::Dispute(Dispute {
        id: "du_1".to_owned(),
        payment_intent: some("pi_1"),
        charge: None,
        amount: None,
        currency: None,
        reason: None,
        status,
        livemode: false,
        created_at: at(2),
        updated_at: at(3),
    })
}

fn rule(facts: impl IntoIterator<Item = Fact>) -> Rule {
    let facts: Facts = facts.into_iter().collect();
    let verdict = decide(&facts, Policy::default()).unwrap();
    assert_eq!(
        verdict.paid,
        verdict.rule != Some(Rule::RefundedInFull) && verdict.rule != Some(Rule::DisputeLost)
    );
    verdict.rule.unwrap()
}

#[test]
fn a_refund_counts_until_it_has_failed() {
    for status in RefundStatus::ALL {
        let expected = if status.gives_back() {
            Rule::RefundedInFull
        } else {
            Rule::CheckoutPaid
        };
        assert_eq!(
            rule([bought(), refund("re_1", 100, *status, 2, 3)]),
            expected,
            "{status}"
        );
    }
}

#[test]
fn only_a_lost_dispute_takes_back() {
    for status in DisputeStatus::ALL {
        let expected = match status {
            DisputeStatus::Lost => Rule::DisputeLost,
            _ => Rule::CheckoutPaid,
        };
        assert_eq!(rule([bought(), dispute(*status)]), expected, "{status}");
    }
}

#[test]
fn all_of_what_was_taken_must_be_given_back() {
    let part = |id, amount| refund(id, amount, RefundStatus::Succeeded, 2, 2);
    assert_eq!(rule([bought(), part("re_1", 99)]), Rule::CheckoutPaid);
    assert_eq!(
        rule([bought(), part("re_1", 60), part("re_2", 40)]),
        Rule::RefundedInFull
    );
    // 80 were captured of 100.
    assert_eq!(rule([bought(), charge(80, 80, 2)]), Rule::RefundedInFull);
    assert_eq!(rule([bought(), charge(80, 79, 2)]), Rule::CheckoutPaid);
}

/// The charge told its sum before the refund failed, and tells no other.
#[test]
fn a_refund_that_fails_later_is_not_in_the_sum_of_the_charge() {
    let failed = || refund("re_1", 100, RefundStatus::Failed, 2, 5);
    assert_eq!(
        rule([bought(), charge(100, 100, 2), failed()]),
        Rule::CheckoutPaid
    );
    // The next one does not fail; its sum is told after the failure.
    assert_eq!(
        rule([bought(), charge(100, 100, 7), failed()]),
        Rule::RefundedInFull
    );
}

fn subscription() -> Fact {
    Fact::Subscription(Subscription {
        id: "sub_1".to_owned(),
        named_user: None,
        attributed_user: None,
        customer: None,
        status: SubscriptionStatus::Active,
        cancel_at_period_end: false,
        cancel_at: None,
        current_period_end: None,
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    })
}

fn invoice(amount_paid: i64) -> Fact {
    Fact::Invoice(Invoice {
        id: "in_1".to_owned(),
        subscription: some("sub_1"),
        payment_intent: some("pi_1"),
        billing_reason: some("subscription_cycle"),
        status: InvoiceStatus::Paid,
        amount_paid: Some(amount_paid),
        currency: some("eur"),
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    })
}

/// Of an invoice that was paid in two parts, one payment is known.
#[test]
fn one_part_of_an_invoice_is_not_all_of_it() {
    let all = [subscription(), invoice(100), charge(100, 100, 2)];
    assert_eq!(rule(all), Rule::RefundedInFull);
    let part = [subscription(), invoice(200), charge(100, 100, 2)];
    assert_eq!(rule(part), Rule::SubscriptionActive);
}

/// It says so before it says which subscription it is for, and before it is paid.
#[test]
fn a_link_alone_takes_nothing_back() {
    let mut link = match invoice(100) {
        Fact::Invoice(invoice) => invoice,
        other => panic!("{other:?}"),
    };
    link.status = InvoiceStatus::Open;
    link.billing_reason = None;
    let facts = [subscription(), Fact::Invoice(link), charge(100, 100, 2)];
    assert_eq!(rule(facts), Rule::SubscriptionActive);
}

proptest! {
    /// Refunds, each with all of its accounts, and the charge's sums, in any order.
    #[test]
    fn order_does_not_matter(
        facts in prop::collection::vec(
            prop_oneof![
                (select(&["re_1", "re_2"][..]), select(RefundStatus::ALL), 2_i64..5, 0_i64..3)
                    .prop_map(|(id, status, created, later)| {
                        refund(id, 50, status, created, created + later)
                    }),
                (0_i64..=2, 2_i64..7).prop_map(|(refunded, told)| charge(100, refunded * 50, told)),
                select(DisputeStatus::ALL).prop_map(dispute),
            ],
            0..6,
        ).prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
    ) {
        let (one, other) = facts;
        let all = |facts: Vec<Fact>| rule(facts.into_iter().chain([bought()]));
        prop_assert_eq!(all(one), all(other));
    }
}

/// Amounts are anybody's numbers.
#[test]
fn amounts_out_of_all_proportion_are_no_panic() {
    for refunded in [i64::MIN, i64::MAX] {
        for failed in [i64::MIN, i64::MAX] {
            let facts = [
                bought(),
                charge(100, refunded, 5),
                refund("re_1", failed, RefundStatus::Failed, 5, 6),
            ];
            let verdict = decide(&Facts::from_iter(facts), Policy::default());
            assert!(verdict.is_some());
        }
    }
}
