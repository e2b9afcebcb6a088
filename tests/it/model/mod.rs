//! The rules that make the mirror converge, by themselves.

use hookmirror::model::payment::{CheckoutSession, NamedUser, PaymentStatus, SessionStatus};
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

mod checkout;
mod entitlement;
mod retry;
mod revision;

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

fn word(of: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    option::of(select(of).prop_map(str::to_owned))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..4).prop_map(Timestamp::from_seconds)
}

/// Accounts of one session, from domains so small that they agree, contradict and tie often.
fn account(id: &'static str) -> impl Strategy<Value = CheckoutSession> {
    let named = option::of((time(), select(&["user_a", "user_b"][..])));
    let stands = (select(&STATUSES[..]), select(&PAYMENTS[..]));
    let objects = (
        word(&["cus_1", "cus_2"]),
        word(&["pi_1", "pi_2"]),
        word(&["sub_1", "sub_2"]),
        word(&["payment", "setup"]),
    );
    let money = (option::of(0_i64..3), word(&["eur", "usd"]), any::<bool>());
    (named, stands, objects, money, time(), time()).prop_map(
        move |(named, (status, payment), objects, money, created_at, updated_at)| CheckoutSession {
            id: id.to_owned(),
            named_user: named.map(|(at, id)| NamedUser {
                at,
                id: user_id(id),
            }),
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
