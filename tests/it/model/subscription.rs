//! What is known of a subscription is its latest state, whichever arrived last.

use hookmirror::model::payment::{PaymentFact, Subscription, SubscriptionStatus};
use hookmirror::model::time::Timestamp;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{merge_laws, named_user, time, word};

fn account() -> impl Strategy<Value = Subscription> {
    let users = (named_user(), named_user());
    let ending = (any::<bool>(), option::of(time()), option::of(time()));
    let told = (any::<bool>(), time(), time());
    let status = select(SubscriptionStatus::ALL);
    (users, word(&["cus_1", "cus_2"]), status, ending, told).prop_map(
        |(users, customer, status, ending, told)| Subscription {
            id: "sub_1".to_owned(),
            named_user: users.0,
            attributed_user: users.1,
            customer,
            status,
            cancel_at_period_end: ending.0,
            cancel_at: ending.1,
            current_period_end: ending.2,
            livemode: told.0,
            created_at: told.1,
            updated_at: told.2,
        },
    )
}

merge_laws!(account());

proptest! {
    #[test]
    fn what_has_ended_stays_ended(a in account(), b in account()) {
        let joined = a.clone().merge(b.clone());
        prop_assert_eq!(joined.status.is_end(), a.status.is_end() || b.status.is_end());
    }

    /// All of the state is from one account: status and end are never put together from two.
    #[test]
    fn the_state_is_that_of_the_latest_account(a in account(), b in account()) {
        let state = |of: &Subscription| {
            (of.updated_at, of.status, of.current_period_end, of.cancel_at_period_end, of.cancel_at)
        };
        let joined = a.clone().merge(b.clone());
        prop_assert!(state(&joined) == state(&a) || state(&joined) == state(&b));
        if a.status.is_end() == b.status.is_end() {
            prop_assert_eq!(joined.updated_at, a.updated_at.max(b.updated_at));
        }
    }

    #[test]
    fn nothing_that_was_known_is_forgotten(a in account(), b in account()) {
        let joined = a.clone().merge(b.clone());
        prop_assert_eq!(joined.customer.is_none(), a.customer.is_none() && b.customer.is_none());
        prop_assert_eq!(joined.created_at, a.created_at.min(b.created_at));
        let earliest = a.named_user.iter().chain(&b.named_user).min();
        prop_assert_eq!(joined.named_user.as_ref(), earliest);
        prop_assert_eq!(joined.attributed_user, a.attributed_user.max(b.attributed_user));
    }
}

fn told(status: SubscriptionStatus, at: i64) -> Subscription {
    Subscription {
        id: "sub_1".to_owned(),
        named_user: None,
        attributed_user: None,
        customer: None,
        status,
        cancel_at_period_end: false,
        cancel_at: None,
        current_period_end: Some(Timestamp::from_seconds(100)),
        livemode: false,
        created_at: Timestamp::from_seconds(0),
        updated_at: Timestamp::from_seconds(at),
    }
}

fn both_ways(a: &Subscription, b: &Subscription) -> Subscription {
    let joined = a.clone().merge(b.clone());
    assert_eq!(joined, b.clone().merge(a.clone()));
    joined
}

#[test]
fn within_a_second_what_follows_holds() {
    use SubscriptionStatus::{
        Active, Canceled, Incomplete, IncompleteExpired, PastDue, Paused, Trialing, Unpaid,
    };
    for (first, second) in [
        (Incomplete, Active),
        (Incomplete, Trialing),
        (Incomplete, IncompleteExpired),
        (Trialing, Active),
        (Trialing, Paused),
        (Paused, Active),
        (Active, PastDue),
        (PastDue, Unpaid),
        (Active, Canceled),
        (Unpaid, Canceled),
    ] {
        let joined = both_ways(&told(first, 1), &told(second, 1));
        assert_eq!(joined.status, second, "{first} then {second}");
    }
    let renewed = Subscription {
        current_period_end: Some(Timestamp::from_seconds(200)),
        ..told(Active, 1)
    };
    assert_eq!(both_ways(&told(Active, 1), &renewed), renewed);
    let cancelled = Subscription {
        cancel_at_period_end: true,
        ..told(Active, 1)
    };
    assert_eq!(both_ways(&told(Active, 1), &cancelled), cancelled);
}

#[test]
fn over_time_any_state_but_an_end_can_follow() {
    use SubscriptionStatus::{Active, Canceled, PastDue, Paused, Trialing, Unpaid};
    for (first, second) in [
        (PastDue, Active),
        (Unpaid, Active),
        (Active, Trialing),
        (Active, Paused),
    ] {
        assert_eq!(both_ways(&told(first, 1), &told(second, 2)).status, second);
    }
    assert_eq!(
        both_ways(&told(Canceled, 1), &told(Active, 2)).status,
        Canceled
    );
}
