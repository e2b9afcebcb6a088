//! Payments that a person gives to a user.

use hookmirror::model::entitlement::Rule;
use hookmirror::model::payment::{Attribution, CheckoutSession, Fact, Ownership, Subscription};
use hookmirror::model::state::EventState;
use hookmirror::model::user::UserId;
use hookmirror::store::Store;
use serde_json::json;

use super::{apply, record_of, report, state_of};
use crate::support::given::{
    asked, at, by_customer, customer, for_real, invoice, opened, record, refund, session,
    session_of, subscription, tell, user_id,
};

async fn owner(store: &dyn Store, id: &str) -> Option<UserId> {
    store.find_ownership(id).await.unwrap().unwrap().owner
}

/// Gives something away that is nobody's.
async fn give(store: &dyn Store, now: i64, id: &str, user: &str) -> Attribution {
    let user = user_id(user);
    let deed = asked(for_real());
    let given = store.attribute(id, &user, None, &deed, at(now)).await;
    given.unwrap().attribution
}

/// Gives something away that is somebody's.
async fn take(store: &dyn Store, now: i64, id: &str, from: &str, user: &str) -> Attribution {
    let (from, user) = (user_id(from), user_id(user));
    let deed = asked(for_real());
    let given = store
        .attribute(id, &user, Some(&from), &deed, at(now))
        .await;
    given.unwrap().attribution
}

pub(super) async fn what_nobody_has_heard_of_cannot_be_given(store: &dyn Store) {
    apply(store, 0, &[tell("evt_1", Fact::Invoice(invoice("in_1")))]).await;
    for id in ["cs_1", "sub_1", "in_1", ""] {
        assert_eq!(store.find_ownership(id).await.unwrap(), None, "{id}");
        assert_eq!(give(store, 1, id, "user_a").await, Attribution::Unknown);
    }
    assert_eq!(store.find_user(&user_id("user_a")).await.unwrap(), None);
}

pub(super) async fn ownership_says_whose_and_why(store: &dyn Store) {
    let anonymous = Subscription {
        customer: Some("cus_1".to_owned()),
        ..subscription("sub_1")
    };
    let batch = [
        record("evt_1", session_of("cs_1", "user_a")),
        record("evt_2", by_customer("cus_1", session("cs_2"))),
        tell("evt_3", Fact::Subscription(anonymous)),
    ];
    apply(store, 0, &batch).await;
    let named = Ownership {
        owner: Some(user_id("user_a")),
        named: Some(user_id("user_a")),
        given: None,
        customer: None,
    };
    assert_eq!(store.find_ownership("cs_1").await.unwrap(), Some(named));
    let nobodys = Ownership {
        owner: None,
        named: None,
        given: None,
        customer: Some("cus_1".to_owned()),
    };
    for id in ["cs_2", "sub_1"] {
        let found = store.find_ownership(id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&nobodys), "{id}");
    }

    let linked = Fact::Customer(customer("cus_1", "user_b", 0));
    apply(store, 1, &[tell("evt_4", linked)]).await;
    let by_customer = Ownership {
        owner: Some(user_id("user_b")),
        ..nobodys
    };
    for id in ["cs_2", "sub_1"] {
        let found = store.find_ownership(id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&by_customer), "{id}");
    }

    take(store, 2, "cs_2", "user_b", "user_c").await;
    let given = Ownership {
        owner: Some(user_id("user_c")),
        given: Some(user_id("user_c")),
        ..by_customer
    };
    assert_eq!(store.find_ownership("cs_2").await.unwrap(), Some(given));
}

pub(super) async fn a_session_that_is_given_is_released_and_counts(store: &dyn Store) {
    apply(store, 0, &[record("evt_1", session("cs_1"))]).await;
    apply(store, 1, &[record("evt_2", session("cs_2"))]).await;
    assert_eq!(give(store, 5, "cs_1", "user_a").await, Attribution::Done);

    let released = record_of(store, "evt_1").await.summary;
    assert_eq!(released.state, EventState::Applied);
    assert_eq!(released.applied_at, Some(at(5)));
    assert_eq!(state_of(store, "evt_2").await, EventState::Waiting);
    let found = report(store, "user_a").await;
    assert_eq!(found.facts.sessions.len(), 1);
    assert!(found.entitlement.unwrap().paid);
    let desired = json!({"stripe": {"status": "complete", "payment": "paid", "paid": true}});
    assert_eq!(found.outbox.unwrap().desired, desired);
}

pub(super) async fn what_is_somebodys_is_not_given_by_mistake(store: &dyn Store) {
    apply(store, 0, &[record("evt_1", session_of("cs_1", "user_b"))]).await;
    let refused = Attribution::OwnedBy(Some(user_id("user_b")));
    assert_eq!(give(store, 1, "cs_1", "user_a").await, refused);
    assert_eq!(take(store, 1, "cs_1", "user_c", "user_a").await, refused);
    assert_eq!(store.find_user(&user_id("user_a")).await.unwrap(), None);
    let found = store.find_ownership("cs_1").await.unwrap().unwrap();
    assert_eq!(found.given, None, "nothing was written");

    apply(store, 2, &[record("evt_2", session("cs_2"))]).await;
    let refused = Attribution::OwnedBy(None);
    assert_eq!(take(store, 3, "cs_2", "user_b", "user_a").await, refused);
    assert_eq!(state_of(store, "evt_2").await, EventState::Waiting);
}

pub(super) async fn who_loses_a_payment_loses_what_followed_from_it(store: &dyn Store) {
    apply(store, 0, &[record("evt_1", session_of("cs_1", "user_b"))]).await;
    let given = take(store, 1, "cs_1", "user_b", "user_a").await;
    assert_eq!(given, Attribution::Done);
    assert!(report(store, "user_a").await.entitlement.unwrap().paid);
    let loser = report(store, "user_b").await;
    assert_eq!(loser.entitlement, None);
    assert!(loser.facts.sessions.is_empty());
    assert_eq!(loser.outbox.unwrap().desired, json!({"stripe": null}));
}

pub(super) async fn what_was_given_stays_given(store: &dyn Store) {
    apply(store, 0, &[record("evt_1", session("cs_1"))]).await;
    give(store, 1, "cs_1", "user_a").await;
    // Named by an event from before, by one from after, and by its customer.
    let named = by_customer("cus_1", session_of("cs_1", "user_b"));
    let linked = Fact::Customer(customer("cus_1", "user_c", -9));
    apply(
        store,
        2,
        &[record("evt_2", named), tell("evt_3", linked.clone())],
    )
    .await;
    assert_eq!(owner(store, "cs_1").await, Some(user_id("user_a")));
    assert_eq!(store.find_user(&user_id("user_b")).await.unwrap(), None);

    // Until a person changes it; the last word holds, whoever had an earlier one.
    take(store, 3, "cs_1", "user_a", "user_z").await;
    assert_eq!(owner(store, "cs_1").await, Some(user_id("user_z")));
    take(store, 4, "cs_1", "user_z", "user_b").await;
    apply(store, 5, &[tell("evt_4", linked)]).await;
    assert_eq!(owner(store, "cs_1").await, Some(user_id("user_b")));
    assert!(report(store, "user_b").await.entitlement.unwrap().paid);
    assert_eq!(report(store, "user_a").await.entitlement, None);
}

/// Who owns a payment of a customer's owns the customer, unless an older account says otherwise.
pub(super) async fn a_subscription_is_given_with_all_that_hangs_on_it(store: &dyn Store) {
    let anonymous = Subscription {
        customer: Some("cus_1".to_owned()),
        ..subscription("sub_1")
    };
    let mut paid = invoice("in_1");
    paid.subscription = Some("sub_1".to_owned());
    paid.payment_intent = Some("pi_1".to_owned());
    paid.amount_paid = Some(4900);
    let batch = [
        tell("evt_1", Fact::Subscription(anonymous)),
        tell("evt_2", Fact::Invoice(paid)),
        tell("evt_3", Fact::Refund(refund("re_1", "pi_1"))),
        record(
            "evt_4",
            opened(9, by_customer("cus_1", session("cs_other"))),
        ),
    ];
    apply(store, 0, &batch).await;
    assert_eq!(give(store, 1, "sub_1", "user_a").await, Attribution::Done);
    for event in ["evt_1", "evt_4"] {
        assert_eq!(state_of(store, event).await, EventState::Applied, "{event}");
    }
    let found = report(store, "user_a").await;
    let facts = &found.facts;
    let kept = (facts.invoices.len(), facts.refunds.len());
    assert_eq!(kept, (1, 1));
    let rules: Vec<Rule> = found.purchases.iter().map(|bought| bought.rule).collect();
    assert_eq!(rules, [Rule::RefundedInFull, Rule::CheckoutPaid]);
}

pub(super) async fn a_gift_of_an_unpaid_session_is_paid_when_the_money_comes(store: &dyn Store) {
    let first = crate::support::given::unpaid(session("cs_1"));
    apply(store, 0, &[record("evt_1", first)]).await;
    give(store, 1, "cs_1", "user_a").await;
    assert!(!report(store, "user_a").await.entitlement.unwrap().paid);
    let arrived = CheckoutSession {
        updated_at: at(9),
        ..session("cs_1")
    };
    apply(store, 2, &[record("evt_2", arrived)]).await;
    assert!(report(store, "user_a").await.entitlement.unwrap().paid);
    assert_eq!(state_of(store, "evt_2").await, EventState::Applied);
}
