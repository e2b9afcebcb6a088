//! Payment facts: whose they are, and what follows from them.

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::entitlement::{Entitlement, PaymentState, Rule};
use hookmirror::model::ledger::UserReport;
use hookmirror::model::payment::{CheckoutSession, PaymentStatus, SessionStatus};
use hookmirror::model::state::EventState;
use hookmirror::store::Store;
use serde_json::json;

use super::{apply, outcomes, permutations, report, state_of};
use crate::support::given::{
    at, by_customer, failing, mirror, opened, record, session, session_of, unpaid, user, user_id,
};

async fn entitlement(store: &dyn Store, user: &str) -> Option<Entitlement> {
    let report = store.find_user(&user_id(user)).await.unwrap();
    report.and_then(|report| report.entitlement)
}

/// The sessions of the user's purchases, oldest first.
fn purchases(report: &UserReport) -> Vec<&str> {
    let all = report.purchases.iter();
    all.filter_map(|purchase| purchase.checkout_session_id.as_deref())
        .collect()
}

pub(super) async fn a_named_user_is_entitled_before_being_mirrored(store: &dyn Store) {
    let batch = [record("evt_1", session_of("cs_1", "user_a"))];
    assert_eq!(outcomes(store, 0, &batch).await, [Outcome::PaymentRecorded]);
    let found = report(store, "user_a").await;
    assert_eq!(found.user, None);
    let expected = Entitlement {
        paid: true,
        payment: PaymentState::Paid,
        status: "complete".to_owned(),
        reason: "checkout cs_1 is paid".to_owned(),
        rule: Some(Rule::CheckoutPaid),
        checkout_session_id: Some("cs_1".to_owned()),
        subscription_id: None,
    };
    assert_eq!(found.entitlement, Some(expected));
    let desired = json!({"stripe": {"status": "complete", "payment": "paid", "paid": true}});
    assert_eq!(found.outbox.unwrap().desired, desired);
    assert_eq!(found.facts.sessions.len(), 1);
    let shown = &found.facts.sessions["cs_1"];
    assert_eq!(shown.id, "cs_1");
    assert_eq!(shown.amount_total, Some(4900));
    assert_eq!(shown.currency.as_deref(), Some("eur"));
    assert_eq!(shown.created_at, at(0));

    apply(store, 1, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    let found = report(store, "user_a").await;
    assert!(found.user.is_some());
    assert!(found.entitlement.unwrap().paid);
}

pub(super) async fn facts_of_one_session_join_in_any_order(store: &dyn Store) {
    let facts = |id: &str, user: &str| {
        let first = unpaid(session_of(id, user));
        let paid = CheckoutSession {
            named_user: None,
            subscription: Some("sub_1".to_owned()),
            ..session(id)
        };
        let failed = CheckoutSession {
            payment: PaymentStatus::Failed,
            named_user: None,
            ..session(id)
        };
        [first, paid, failed]
    };
    for (number, order) in permutations(&[0, 1, 2]).into_iter().enumerate() {
        for split in 0..=order.len() {
            let name = format!("{number}_{split}");
            let (id, user) = (format!("cs_{name}"), format!("user_{name}"));
            let facts = facts(&id, &user);
            let batch: Vec<Planned> = order
                .iter()
                .map(|fact| record(&format!("evt_{name}_{fact}"), facts[*fact].clone()))
                .collect();
            apply(store, 0, &batch[..split]).await;
            apply(store, 1, &batch[split..]).await;

            let found = entitlement(store, &user).await.unwrap();
            assert!(found.paid, "{order:?} at {split}");
            assert_eq!(found.subscription_id.as_deref(), Some("sub_1"));
            for fact in &order {
                let event = format!("evt_{name}_{fact}");
                assert_eq!(state_of(store, &event).await, EventState::Applied);
            }
        }
    }
}

pub(super) async fn a_customer_is_known_by_an_older_session(store: &dyn Store) {
    let old = unpaid(session_of("cs_old", "user_a"));
    apply(store, 0, &[record("evt_1", by_customer("cus_1", old))]).await;
    assert!(!entitlement(store, "user_a").await.unwrap().paid);

    let new = opened(5, by_customer("cus_1", session("cs_new")));
    let batch = [record("evt_2", new)];
    assert_eq!(outcomes(store, 1, &batch).await, [Outcome::PaymentRecorded]);
    let found = report(store, "user_a").await;
    assert_eq!(
        found
            .entitlement
            .as_ref()
            .unwrap()
            .checkout_session_id
            .as_deref()
            .unwrap(),
        "cs_new"
    );
    let ids = purchases(&found);
    assert_eq!(ids, ["cs_old", "cs_new"], "oldest first");

    // Whatever the customer named, it is another customer's.
    let stranger = by_customer("cus_2", session("cs_other"));
    let batch = [record("evt_3", stranger)];
    let expected = [Outcome::PaymentUnattributed];
    assert_eq!(outcomes(store, 2, &batch).await, expected);
}

pub(super) async fn a_session_waits_for_its_user_and_is_released(store: &dyn Store) {
    let anonymous = by_customer("cus_1", session("cs_1"));
    apply(store, 10, &[record("evt_1", anonymous)]).await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Waiting);

    let named = opened(
        3,
        by_customer("cus_1", unpaid(session_of("cs_2", "user_a"))),
    );
    apply(store, 20, &[record("evt_2", named)]).await;
    let released = super::record_of(store, "evt_1").await.summary;
    assert_eq!(released.state, EventState::Applied);
    assert_eq!(released.outcome, "payment_recorded");
    assert_eq!(released.applied_at, Some(at(20)));
    assert_eq!(released.attempts, 1, "a release is no attempt");
    let found = entitlement(store, "user_a").await.unwrap();
    assert!(found.paid);
    assert_eq!(found.checkout_session_id.unwrap(), "cs_1");
}

/// It is recorded: what became of another delivery of it says nothing about that.
pub(super) async fn a_waiting_event_is_released_though_another_delivery_failed(store: &dyn Store) {
    let kind = "checkout.session.completed";
    apply(store, 0, &[record("evt_1", session("cs_1"))]).await;
    let batch = [failing("evt_1", kind, "delivery_limit")];
    assert_eq!(outcomes(store, 1, &batch).await, [Outcome::Duplicate]);
    let waiting = super::record_of(store, "evt_1").await.summary;
    assert_eq!(waiting.state, EventState::Waiting);
    assert_eq!((waiting.deliveries, waiting.attempts), (2, 1));

    apply(store, 2, &[record("evt_2", session_of("cs_1", "user_a"))]).await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Applied);
}

/// The event that names the user need not name the customer as well.
pub(super) async fn a_customer_told_by_an_earlier_event_is_linked(store: &dyn Store) {
    let first = by_customer("cus_1", unpaid(session("cs_1")));
    let second = by_customer("cus_1", session("cs_2"));
    apply(store, 1, &[record("evt_1", first)]).await;
    apply(store, 2, &[record("evt_2", second)]).await;
    let named = unpaid(session_of("cs_1", "user_a"));
    assert_eq!(named.customer, None);
    apply(store, 3, &[record("evt_3", named)]).await;

    assert_eq!(state_of(store, "evt_2").await, EventState::Applied);
    let found = entitlement(store, "user_a").await.unwrap();
    assert!(found.paid);
    assert_eq!(found.checkout_session_id.unwrap(), "cs_2");
}

pub(super) async fn every_event_of_a_released_session_is_released(store: &dyn Store) {
    let anonymous = session("cs_1");
    apply(store, 0, &[record("evt_1", unpaid(anonymous.clone()))]).await;
    apply(store, 1, &[record("evt_2", anonymous.clone())]).await;
    apply(store, 2, &[record("evt_3", session("cs_9"))]).await;
    // A delivery of a waiting event is another attempt, and it waits on.
    apply(store, 3, &[record("evt_2", anonymous)]).await;
    let waiting = super::record_of(store, "evt_2").await;
    assert_eq!(waiting.summary.attempts, 2);
    let attempts = waiting.attempts.iter().map(|attempt| attempt.state);
    assert_eq!(attempts.collect::<Vec<_>>(), [EventState::Waiting; 2]);

    apply(store, 4, &[record("evt_4", session_of("cs_1", "user_a"))]).await;
    for event in ["evt_1", "evt_2", "evt_4"] {
        assert_eq!(state_of(store, event).await, EventState::Applied, "{event}");
    }
    assert_eq!(state_of(store, "evt_3").await, EventState::Waiting);
}

pub(super) async fn an_older_session_takes_the_customer_over(store: &dyn Store) {
    let named = opened(10, by_customer("cus_1", session_of("cs_10", "user_late")));
    let anonymous = opened(20, by_customer("cus_1", session("cs_20")));
    apply(store, 0, &[record("evt_1", anonymous)]).await;
    apply(store, 1, &[record("evt_2", named)]).await;
    assert_eq!(report(store, "user_late").await.facts.sessions.len(), 2);

    let older = opened(
        5,
        by_customer("cus_1", unpaid(session_of("cs_5", "user_early"))),
    );
    apply(store, 2, &[record("evt_3", older)]).await;
    let early = report(store, "user_early").await;
    assert_eq!(
        early.entitlement.unwrap().checkout_session_id.unwrap(),
        "cs_20"
    );
    // What the session itself names stays.
    let late = report(store, "user_late").await;
    assert_eq!(
        late.entitlement.unwrap().checkout_session_id.unwrap(),
        "cs_10"
    );

    // Who loses the last fact has no entitlement left, and Clerk is told so.
    let anonymous = opened(8, by_customer("cus_2", session("cs_8")));
    let named = by_customer("cus_2", session_of("cs_7", "user_loser"));
    let named = opened(7, named);
    apply(
        store,
        3,
        &[record("evt_4", named.clone()), record("evt_5", anonymous)],
    )
    .await;
    let earlier = CheckoutSession {
        named_user: session_of("cs_7", "user_winner")
            .named_user
            .map(|mut named| {
                named.at = at(-5);
                named
            }),
        ..named
    };
    apply(store, 4, &[record("evt_6", earlier)]).await;
    let loser = report(store, "user_loser").await;
    assert_eq!(loser.entitlement, None);
    assert_eq!(purchases(&loser), [""; 0]);
    assert_eq!(loser.outbox.unwrap().desired, json!({"stripe": null}));
    let winner = report(store, "user_winner").await;
    assert_eq!(winner.facts.sessions.len(), 2);
}

pub(super) async fn an_expired_session_waits_for_nobody(store: &dyn Store) {
    let expired = CheckoutSession {
        status: SessionStatus::Expired,
        ..unpaid(session("cs_1"))
    };
    let batch = [record("evt_1", expired)];
    assert_eq!(outcomes(store, 0, &batch).await, [Outcome::PaymentRecorded]);
    assert_eq!(state_of(store, "evt_1").await, EventState::Applied);
}

pub(super) async fn the_mirror_is_the_same_for_every_order_of_payments(store: &dyn Store) {
    for (number, order) in permutations(&[0, 1, 2, 3]).into_iter().enumerate() {
        let customer = format!("cus_{number}");
        let (early, late) = (format!("user_e{number}"), format!("user_l{number}"));
        let id = |name: &str| format!("cs_{name}{number}");
        let sessions = [
            opened(1, unpaid(session_of(&id("a"), &early))),
            opened(2, session_of(&id("b"), &late)),
            opened(3, session(&id("c"))),
            opened(4, unpaid(session(&id("d")))),
        ];
        for (step, place) in order.iter().enumerate() {
            let session = by_customer(&customer, sessions[*place].clone());
            let event = record(&format!("evt_{number}_{place}"), session);
            apply(store, i64::try_from(step).unwrap(), &[event]).await;
        }

        let found = report(store, &early).await;
        let ids = purchases(&found);
        assert_eq!(ids, [&id("a"), &id("c"), &id("d")], "{order:?}");
        let entitled = found.entitlement.unwrap();
        assert_eq!(entitled.checkout_session_id.unwrap(), id("c"), "{order:?}");
        let found = report(store, &late).await;
        let ids = purchases(&found);
        assert_eq!(ids, [&id("b")], "{order:?}");
        for place in 0..4 {
            let event = format!("evt_{number}_{place}");
            assert_eq!(state_of(store, &event).await, EventState::Applied);
        }
    }
}
