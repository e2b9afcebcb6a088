//! Payment facts of every kind: kept as they were told, and joined with what hangs together with them.

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::entitlement::{Entitlement, Rule};
use hookmirror::model::payment::{
    Charge, CheckoutSession, Dispute, DisputeStatus, Fact, Facts, Invoice, InvoiceStatus,
    NamedUser, Refund, RefundStatus, Subscription, SubscriptionStatus,
};
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::{apply, outcomes, permutations, record_of, report, state_of};
use crate::support::given::{
    at, by_customer, charge, customer, dispute, invoice, record, refund, session, session_of,
    subscription, tell, unpaid, user_id,
};

async fn entitlement(store: &dyn Store, user: &str) -> Entitlement {
    report(store, user).await.entitlement.unwrap()
}

fn named(user: &str, since: i64) -> Option<NamedUser> {
    Some(NamedUser {
        at: at(since),
        id: user_id(user),
    })
}

fn subscription_by(customer: &str, id: &str) -> Subscription {
    Subscription {
        customer: Some(customer.to_owned()),
        ..subscription(id)
    }
}

/// Whatever is given; the session is user_a's, and so is all that hangs together with it.
async fn assert_they_come_back(store: &dyn Store, facts: Vec<Fact>) {
    let batch: Vec<Planned> = (0..)
        .zip(&facts)
        .map(|(n, fact): (u8, _)| tell(&format!("evt_{n}"), fact.clone()))
        .collect();
    apply(store, 0, &batch).await;
    let expected: Facts = facts.into_iter().collect();
    assert_eq!(report(store, "user_a").await.facts, expected);
}

pub(super) async fn every_column_of_a_fact_comes_back_as_it_went_in(store: &dyn Store) {
    let text = |text: &str| Some(text.to_owned());
    let facts = vec![
        Fact::CheckoutSession(CheckoutSession {
            customer: text("cus_1"),
            payment_intent: text("pi_1"),
            subscription: text("sub_1"),
            livemode: true,
            ..session_of("cs_1", "user_a")
        }),
        Fact::Subscription(Subscription {
            named_user: named("user_a", 3),
            customer: text("cus_1"),
            status: SubscriptionStatus::PastDue,
            cancel_at_period_end: true,
            cancel_at: Some(at(4)),
            current_period_end: Some(at(5)),
            livemode: true,
            created_at: at(6),
            updated_at: at(7),
            ..subscription("sub_1")
        }),
        Fact::Invoice(Invoice {
            subscription: text("sub_1"),
            payment_intent: text("pi_2"),
            billing_reason: text("subscription_cycle"),
            status: InvoiceStatus::Uncollectible,
            amount_paid: Some(8),
            currency: text("usd"),
            livemode: true,
            created_at: at(9),
            updated_at: at(10),
            ..invoice("in_1")
        }),
        Fact::Charge(Charge {
            amount: 11,
            amount_refunded: 12,
            livemode: true,
            created_at: at(13),
            updated_at: at(14),
            ..charge("ch_1", "pi_1")
        }),
        Fact::Refund(Refund {
            charge: text("ch_1"),
            amount: i64::MAX,
            status: RefundStatus::RequiresAction,
            livemode: true,
            created_at: at(15),
            updated_at: at(16),
            ..refund("re_1", "pi_2")
        }),
        Fact::Dispute(Dispute {
            charge: text("ch_1"),
            amount: Some(i64::MIN),
            reason: text("fraudulent"),
            status: DisputeStatus::WarningUnderReview,
            livemode: true,
            created_at: at(17),
            updated_at: at(18),
            ..dispute("dp_1", "pi_1")
        }),
    ];
    assert_they_come_back(store, facts).await;
}

pub(super) async fn what_a_fact_does_not_tell_comes_back_as_nothing(store: &dyn Store) {
    let facts = vec![
        Fact::CheckoutSession(CheckoutSession {
            mode: None,
            amount_total: None,
            currency: None,
            subscription: Some("sub_1".to_owned()),
            payment_intent: Some("pi_1".to_owned()),
            ..session_of("cs_1", "user_a")
        }),
        Fact::Subscription(subscription("sub_1")),
        Fact::Invoice(Invoice {
            subscription: Some("sub_1".to_owned()),
            ..invoice("in_1")
        }),
        Fact::Charge(Charge {
            currency: None,
            ..charge("ch_1", "pi_1")
        }),
        Fact::Refund(Refund {
            currency: None,
            ..refund("re_1", "pi_1")
        }),
        Fact::Dispute(Dispute {
            amount: None,
            currency: None,
            ..dispute("dp_1", "pi_1")
        }),
    ];
    assert_they_come_back(store, facts).await;
}

pub(super) async fn every_status_can_be_stored(store: &dyn Store) {
    let mut facts = vec![Fact::CheckoutSession(CheckoutSession {
        payment_intent: Some("pi_1".to_owned()),
        ..session_of("cs_1", "user_a")
    })];
    for status in SubscriptionStatus::ALL {
        facts.push(Fact::Subscription(Subscription {
            named_user: named("user_a", 1),
            status: *status,
            ..subscription(&format!("sub_{status}"))
        }));
    }
    for status in InvoiceStatus::ALL {
        facts.push(Fact::Invoice(Invoice {
            subscription: Some("sub_active".to_owned()),
            status: *status,
            ..invoice(&format!("in_{status}"))
        }));
    }
    for status in RefundStatus::ALL {
        facts.push(Fact::Refund(Refund {
            status: *status,
            ..refund(&format!("re_{status}"), "pi_1")
        }));
    }
    for status in DisputeStatus::ALL {
        facts.push(Fact::Dispute(Dispute {
            status: *status,
            ..dispute(&format!("dp_{status}"), "pi_1")
        }));
    }
    assert_they_come_back(store, facts).await;
}

pub(super) async fn a_later_account_of_a_fact_replaces_its_row(store: &dyn Store) {
    let paid = CheckoutSession {
        payment_intent: Some("pi_1".to_owned()),
        ..session_of("cs_1", "user_a")
    };
    let refunded = refund("re_1", "pi_1");
    let failed = Refund {
        status: RefundStatus::Failed,
        updated_at: at(9),
        ..refunded.clone()
    };
    apply(store, 0, &[record("evt_1", paid)]).await;
    apply(store, 1, &[tell("evt_2", Fact::Refund(refunded))]).await;
    assert_eq!(
        entitlement(store, "user_a").await.rule,
        Some(Rule::RefundedInFull)
    );
    apply(store, 2, &[tell("evt_3", Fact::Refund(failed.clone()))]).await;
    let found = report(store, "user_a").await;
    assert_eq!(found.facts.refunds["re_1"], failed);
    assert!(found.entitlement.unwrap().paid);
}

/// A refund has no user of its own, so it waits for nobody.
pub(super) async fn a_refund_may_come_before_its_session(store: &dyn Store) {
    let batch = [tell("evt_1", Fact::Refund(refund("re_1", "pi_1")))];
    assert_eq!(outcomes(store, 0, &batch).await, [Outcome::PaymentRecorded]);
    assert_eq!(store.find_user(&user_id("user_a")).await.unwrap(), None);

    let paid = CheckoutSession {
        payment_intent: Some("pi_1".to_owned()),
        ..session_of("cs_1", "user_a")
    };
    apply(store, 1, &[record("evt_2", paid)]).await;
    let found = report(store, "user_a").await;
    assert_eq!(found.facts.refunds.len(), 1);
    assert_eq!(found.entitlement.unwrap().rule, Some(Rule::RefundedInFull));
}

pub(super) async fn a_refund_finds_its_subscription_in_any_order(store: &dyn Store) {
    for (number, order) in permutations(&[0, 1, 2, 3]).into_iter().enumerate() {
        let id = |kind: &str| format!("{kind}_{number}");
        let paid = Invoice {
            subscription: Some(id("sub")),
            amount_paid: Some(4900),
            currency: Some("eur".to_owned()),
            ..invoice(&id("in"))
        };
        let facts = [
            Fact::Subscription(Subscription {
                named_user: named(&id("user"), 1),
                ..subscription(&id("sub"))
            }),
            Fact::Invoice(paid),
            Fact::Invoice(Invoice {
                payment_intent: Some(id("pi")),
                ..invoice(&id("in"))
            }),
            Fact::Refund(refund(&id("re"), &id("pi"))),
        ];
        for place in &order {
            let event = tell(&format!("evt_{number}_{place}"), facts[*place].clone());
            apply(store, 0, &[event]).await;
        }
        let found = entitlement(store, &id("user")).await;
        assert_eq!(found.rule, Some(Rule::RefundedInFull), "{order:?}");
    }
}

pub(super) async fn a_linked_customer_releases_what_waits_for_it(store: &dyn Store) {
    let late = Subscription {
        status: SubscriptionStatus::PastDue,
        updated_at: at(2),
        ..subscription_by("cus_1", "sub_1")
    };
    let over = Subscription {
        status: SubscriptionStatus::Canceled,
        ..subscription_by("cus_1", "sub_over")
    };
    let strange = subscription_by("cus_2", "sub_2");
    let batch = [
        tell(
            "evt_1",
            Fact::Subscription(subscription_by("cus_1", "sub_1")),
        ),
        tell("evt_2", Fact::Subscription(late)),
        tell("evt_3", Fact::Subscription(over)),
        tell("evt_4", Fact::Subscription(strange)),
        record("evt_5", by_customer("cus_1", session("cs_1"))),
    ];
    let waits = Outcome::PaymentUnattributed;
    let expected = [waits, waits, Outcome::PaymentRecorded, waits, waits];
    assert_eq!(outcomes(store, 10, &batch).await, expected);

    let linked = Fact::Customer(customer("cus_1", "user_a", 0));
    apply(store, 20, &[tell("evt_6", linked)]).await;
    for event in ["evt_1", "evt_2", "evt_5"] {
        let released = record_of(store, event).await.summary;
        assert_eq!(released.state, EventState::Applied, "{event}");
        assert_eq!(released.outcome, "payment_recorded", "{event}");
        assert_eq!(released.applied_at, Some(at(20)), "{event}");
    }
    assert_eq!(state_of(store, "evt_4").await, EventState::Waiting);
    let found = report(store, "user_a").await;
    assert_eq!(found.facts.subscriptions.len(), 2);
    assert_eq!(found.facts.sessions.len(), 1);
}

pub(super) async fn a_session_releases_the_subscription_that_it_began(store: &dyn Store) {
    let anonymous = subscription_by("cus_1", "sub_1");
    apply(store, 0, &[tell("evt_1", Fact::Subscription(anonymous))]).await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Waiting);
    let began = CheckoutSession {
        subscription: Some("sub_1".to_owned()),
        ..by_customer("cus_1", session_of("cs_1", "user_a"))
    };
    apply(store, 1, &[record("evt_2", began)]).await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Applied);
    let found = entitlement(store, "user_a").await;
    assert_eq!(found.rule, Some(Rule::SubscriptionActive));
    assert_eq!(found.checkout_session_id.as_deref(), Some("cs_1"));
    assert_eq!(found.subscription_id.as_deref(), Some("sub_1"));
}

/// The older naming may be told later.
pub(super) async fn the_first_owner_of_a_customer_holds(store: &dyn Store) {
    let early = Fact::Customer(customer("cus_1", "user_early", 1));
    let late = Fact::Customer(customer("cus_1", "user_late", 2));
    let paid = by_customer("cus_1", session("cs_1"));
    apply(store, 0, &[record("evt_1", paid), tell("evt_2", late)]).await;
    assert!(entitlement(store, "user_late").await.paid);

    let unfinished = unpaid(session_of("cs_2", "user_late"));
    apply(store, 1, &[record("evt_3", unfinished)]).await;
    apply(store, 2, &[tell("evt_4", early)]).await;
    assert!(entitlement(store, "user_early").await.paid);
    assert!(!entitlement(store, "user_late").await.paid);
}
