//! What is known of a checkout does not depend on the order in which it became known.

use std::collections::BTreeMap;

use hookmirror::model::payment::{
    CheckoutSession, Fact, Facts, NamedUser, PaymentFact, PaymentStatus, SessionStatus, owners,
};
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;
use proptest::prelude::*;

use super::{account, merge_laws, sessions, user_id};

merge_laws!(account("cs_1"));

proptest! {
    /// Nothing that was known is forgotten, and no money that came is lost.
    #[test]
    fn merge_only_climbs(a in account("cs_1"), b in account("cs_1")) {
        let joined = a.clone().merge(b.clone());
        for account in [a, b] {
            prop_assert!(joined.payment >= account.payment);
            prop_assert!(joined.status >= account.status);
            prop_assert!(joined.customer.is_some() || account.customer.is_none());
            prop_assert!(joined.named_user.is_some() || account.named_user.is_none());
            prop_assert!(joined.updated_at >= account.updated_at);
        }
    }

    #[test]
    fn a_session_belongs_to_whom_it_names_else_to_whom_its_customers_oldest_session_names(
        sessions in sessions(),
    ) {
        let mut customers: BTreeMap<String, UserId> = BTreeMap::new();
        let mut oldest_first = sessions.clone();
        oldest_first.sort_by_key(|session| (session.created_at, session.id.clone()));
        for session in oldest_first {
            if let (Some(customer), Some(named)) = (session.customer, session.named_user) {
                customers.entry(customer).or_insert(named.id);
            }
        }
        let facts: Facts = sessions.iter().cloned().map(Fact::CheckoutSession).collect();
        let owners = owners(&facts).sessions;
        for session in &sessions {
            let owner = owners.get(&session.id);
            match (&session.named_user, &session.customer) {
                (Some(named), _) => prop_assert_eq!(owner, Some(&named.id)),
                (None, Some(customer)) => prop_assert_eq!(owner, customers.get(customer)),
                (None, None) => prop_assert_eq!(owner, None),
            }
        }
    }
}

fn told(payment: PaymentStatus, status: SessionStatus, at: i64, user: &str) -> CheckoutSession {
    let at = Timestamp::from_seconds(at);
    CheckoutSession {
        id: "cs_1".to_owned(),
        named_user: Some(NamedUser {
            at,
            id: user_id(user),
        }),
        attributed_user: None,
        customer: None,
        payment_intent: None,
        subscription: None,
        mode: Some("payment".to_owned()),
        status,
        payment,
        amount_total: None,
        currency: None,
        livemode: false,
        created_at: Timestamp::from_seconds(0),
        updated_at: at,
    }
}

/// `completed` with `unpaid` arrives after the `async_payment_succeeded` that followed it.
#[test]
fn a_late_completed_does_not_undo_the_payment() {
    let completed = told(PaymentStatus::Unpaid, SessionStatus::Complete, 1, "user_a");
    let succeeded = told(PaymentStatus::Paid, SessionStatus::Complete, 2, "user_a");
    let joined = succeeded.merge(completed);
    assert_eq!(joined.payment, PaymentStatus::Paid);
    assert!(joined.grants());
}

#[test]
fn the_first_name_holds_whichever_arrives_first() {
    let first = told(PaymentStatus::Unpaid, SessionStatus::Complete, 1, "user_z");
    let second = told(PaymentStatus::Paid, SessionStatus::Complete, 2, "user_a");
    let joined = second.merge(first);
    assert_eq!(joined.named_user.unwrap().id, user_id("user_z"));
}
