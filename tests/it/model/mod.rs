//! The rules that make the mirror converge, by themselves.

use hookmirror::model::payment::{CheckoutSession, NamedUser, PaymentStatus, SessionStatus};
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

mod charge;
mod checkout;
mod customer;
mod dispute;
mod entitlement;
mod invoice;
mod mask;
mod refund;
mod replay;
mod retry;
mod revision;
mod subscription;
mod taken_back;

const STATUSES: [SessionStatus; 2] = [SessionStatus::Expired, SessionStatus::Complete];

const PAYMENTS: [PaymentStatus; 4] = [
    PaymentStatus::Unpaid,
    PaymentStatus::Failed,
    PaymentStatus::NoPaymentRequired,
    PaymentStatus::Paid,
];

fn user_id(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

/// What holds of every kind of fact: what is known does not depend on order, grouping or repetition.
macro_rules! merge_laws {
    ($account:expr) => {
        proptest::proptest! {
            #[test]
            fn merge_is_commutative(a in $account, b in $account) {
                proptest::prop_assert_eq!(a.clone().merge(b.clone()), b.merge(a));
            }

            #[test]
            fn merge_is_associative(a in $account, b in $account, c in $account) {
                let left = a.clone().merge(b.clone()).merge(c.clone());
                proptest::prop_assert_eq!(left, a.merge(b.merge(c)));
            }

            #[test]
            fn merge_is_idempotent(a in $account, b in $account) {
                proptest::prop_assert_eq!(&a.clone().merge(a.clone()), &a);
                let joined = a.clone().merge(b.clone());
                proptest::prop_assert_eq!(joined.clone().merge(b), joined.clone());
                proptest::prop_assert_eq!(joined.clone().merge(a), joined);
            }
        }
    };
}
use merge_laws;

fn word(of: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    option::of(select(of).prop_map(str::to_owned))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..4).prop_map(Timestamp::from_seconds)
}

fn named_user() -> impl Strategy<Value = Option<NamedUser>> {
    let named = (time(), select(&["user_a", "user_b"][..]));
    option::of(named.prop_map(|(at, id)| NamedUser {
        at,
        id: user_id(id),
    }))
}

/// Accounts of one session, from domains so small that they agree, contradict and tie often.
fn account(id: &'static str) -> impl Strategy<Value = CheckoutSession> {
    let stands = (select(&STATUSES[..]), select(&PAYMENTS[..]));
    let objects = (
        word(&["cus_1", "cus_2"]),
        word(&["pi_1", "pi_2"]),
        word(&["sub_1", "sub_2"]),
        word(&["payment", "setup"]),
    );
    let money = (option::of(0_i64..3), word(&["eur", "usd"]), any::<bool>());
    (named_user(), stands, objects, money, time(), time()).prop_map(
        move |(named_user, (status, payment), objects, money, created_at, updated_at)| {
            CheckoutSession {
                id: id.to_owned(),
                named_user,
                attributed_user: None,
                customer: objects.0,
                payment_intent: objects.1,
                subscription: objects.2,
                mode: objects.3,
                status,
                payment,
                amount_total: money.0,
                currency: money.1,
                livemode: money.2,
                created_at,
                updated_at,
            }
        },
    )
}

/// Different sessions, in any order.
fn sessions() -> impl Strategy<Value = Vec<CheckoutSession>> {
    let ids = ["cs_1", "cs_2", "cs_3", "cs_4", "cs_5"];
    (Vec::from(ids.map(account)), 0..=ids.len())
        .prop_map(|(mut sessions, keep)| {
            sessions.truncate(keep);
            sessions
        })
        .prop_shuffle()
}
