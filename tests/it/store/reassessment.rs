//! Entitlements that another process, with another policy or of an earlier version, has written.

use hookmirror::model::changes::Planned;
use hookmirror::model::entitlement::{Entitlement, Rule};
use hookmirror::model::payment::{Fact, NamedUser, Subscription, SubscriptionStatus};
use hookmirror::store::Store;
use serde_json::json;

use super::{apply, report};
use crate::support::database::Database;
use crate::support::given::{at, record, session_of, subscription, tell, user_id};

fn subscribed(user: &str, status: SubscriptionStatus) -> Planned {
    let fact = Subscription {
        named_user: Some(NamedUser {
            at: at(1),
            id: user_id(user),
        }),
        status,
        ..subscription(&format!("sub_of_{user}"))
    };
    tell(&format!("evt_of_{user}"), Fact::Subscription(fact))
}

async fn entitlement(store: &dyn Store, user: &str) -> Entitlement {
    report(store, user).await.entitlement.unwrap()
}

pub(super) async fn another_policy_changes_those_who_are_late(database: &Database) {
    let store = &*database.store;
    let batch = [
        subscribed("user_late", SubscriptionStatus::PastDue),
        subscribed("user_active", SubscriptionStatus::Active),
    ];
    apply(store, 0, &batch).await;
    assert_eq!(store.reassess(at(1)).await.unwrap(), 1, "who is late");
    assert!(entitlement(store, "user_late").await.paid);

    let strict = database.strict().await;
    assert_eq!(strict.reassess(at(2)).await.unwrap(), 1);
    let late = report(store, "user_late").await;
    let verdict = late.entitlement.unwrap();
    assert!(!verdict.paid);
    assert_eq!(verdict.rule, Some(Rule::SubscriptionPastDue));
    let desired = json!({"stripe": {"status": "past_due", "payment": "unpaid", "paid": false}});
    assert_eq!(late.outbox.unwrap().desired, desired);
    assert!(entitlement(store, "user_active").await.paid);

    store.reassess(at(3)).await.unwrap();
    assert!(entitlement(store, "user_late").await.paid);
}

pub(super) async fn a_verdict_of_an_earlier_version_is_derived_anew(database: &Database) {
    let store = &*database.store;
    let batch = [
        record("evt_1", session_of("cs_1", "user_a")),
        record("evt_2", session_of("cs_2", "user_b")),
    ];
    apply(store, 0, &batch).await;
    database
        .execute(
            "UPDATE entitlements SET rule = NULL, paid = (1 = 0), payment = 'unpaid' \
             WHERE user_id = 'user_a'",
        )
        .await;
    assert_eq!(entitlement(store, "user_a").await.rule, None);
    assert_eq!(store.reassess(at(1)).await.unwrap(), 1);
    let found = entitlement(store, "user_a").await;
    assert!(found.paid);
    assert_eq!(found.rule, Some(Rule::CheckoutPaid));
    assert_eq!(store.reassess(at(2)).await.unwrap(), 0, "nothing is left");
}

/// More than are looked at in one transaction.
pub(super) async fn all_who_are_late_are_looked_at(database: &Database) {
    let users: Vec<String> = (0..450).map(|n| format!("user_{n:03}")).collect();
    let late = |user: &String| subscribed(user, SubscriptionStatus::PastDue);
    let batch: Vec<Planned> = users.iter().map(late).collect();
    apply(&*database.store, 0, &batch).await;
    let strict = database.strict().await;
    assert_eq!(strict.reassess(at(1)).await.unwrap(), 450);
    for user in users {
        assert!(!entitlement(&*strict, &user).await.paid, "{user}");
    }
}
