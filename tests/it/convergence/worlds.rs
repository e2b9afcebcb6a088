//! Worlds by chance: small ones, in which few users, customers and payments meet within a few seconds.

use std::fmt::Debug;

use proptest::prelude::*;

use super::history::{Kind, SessionStory, Telling, UserState, UserStory, What, World};
use super::payments::{
    Back, Bill, CURRENCY, DISPUTE, INVOICE, InvoiceShape, InvoiceState, Payments, REASONS, REFUND,
    SUBSCRIPTION, Story, SubscriptionState, customer_of,
};

/// Any small world.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let state =
        (any::<bool>(), 0..4_i64, 0..3_u8).prop_map(|(created, updated_at, name)| UserState {
            created,
            updated_at,
            name,
        });
    let user = (
        prop::collection::vec(state, 0..3),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(states, deleted)| UserStory { states, deleted });
    let kind = prop_oneof![
        2 => Just(Kind::Unpaid),
        2 => Just(Kind::Paid),
        1 => Just(Kind::NothingDue),
        1 => Just(Kind::Succeeded),
        1 => Just(Kind::Failed),
        1 => Just(Kind::Expired),
    ];
    let telling = (kind, 0..3_i64, prop::option::of(0..4_u8))
        .prop_map(|(kind, at, names)| Telling { kind, at, names });
    let what = prop_oneof![
        5 => intents().prop_map(What::OneOff),
        4 => (0..3_u8).prop_map(What::Subscription),
        1 => Just(What::SavedCard),
    ];
    let session = (
        0..3_i64,
        prop::option::of(0..2_u8),
        what,
        prop::option::weighted(0.9, Just(100_i64)),
        prop::collection::vec(telling, 1..3),
    )
        .prop_map(
            |(opened_at, customer, what, amount, tellings)| SessionStory {
                opened_at,
                customer: match what {
                    What::Subscription(subscription) => Some(customer_of(subscription)),
                    What::OneOff(_) | What::SavedCard => customer,
                },
                what,
                amount,
                tellings,
            },
        );
    (
        prop::collection::vec(user, 1..4),
        prop::collection::vec(session, 0..4),
        payments(),
        0..2_usize,
    )
        .prop_map(|(users, sessions, payments, nonsense)| World {
            users,
            sessions,
            payments,
            nonsense,
        })
}

fn story<O: Clone + Debug, T: Clone + Debug>(
    object: impl Strategy<Value = O>,
    telling: impl Strategy<Value = T>,
) -> impl Strategy<Value = Story<O, T>> {
    (
        object,
        0..3_i64,
        prop::collection::vec((0..3_i64, telling), 1..3),
    )
        .prop_map(|(object, created, tellings)| Story {
            object,
            created,
            tellings,
        })
}

/// One of few payments, mostly.
fn intents() -> impl Strategy<Value = Option<u8>> {
    prop::option::weighted(0.9, 0..3_u8)
}

fn subscription_states() -> impl Strategy<Value = SubscriptionState> {
    let status = prop_oneof![3 => Just(3_usize), 5 => 0..SUBSCRIPTION.len()];
    (
        status,
        prop::option::weighted(0.2, 0..4_u8),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.1, 0..2_i64),
        prop::option::of(0..2_i64),
    )
        .prop_map(
            |(status, names, cancel_at_period_end, cancel_at, period_end)| SubscriptionState {
                status,
                names,
                cancel_at_period_end,
                cancel_at,
                period_end,
            },
        )
}

/// Anything that Stripe might tell of a few objects.
fn payments() -> impl Strategy<Value = Payments> {
    let amount = || prop_oneof![Just(40_i64), Just(60), Just(100)];
    let bill = (
        prop::option::weighted(0.9, 0..3_u8),
        intents(),
        0..REASONS.len(),
        prop_oneof![1 => Just(0_i64), 3 => Just(100)],
    )
        .prop_map(|(subscription, intent, reason, amount)| Bill {
            subscription,
            intent,
            reason,
            amount,
        });
    let shape = prop_oneof![
        Just(InvoiceShape::WithPayment),
        Just(InvoiceShape::WithoutPayment),
        Just(InvoiceShape::PaymentAlone),
    ];
    let invoice = (
        prop_oneof![3 => Just(3_usize), 1 => 0..INVOICE.len()],
        shape,
    )
        .prop_map(|(status, shape)| InvoiceState { status, shape });
    let back = (
        intents(),
        prop::option::weighted(0.3, 0..2_u8),
        amount(),
        prop_oneof![9 => Just(CURRENCY), 1 => Just("usd")],
    )
        .prop_map(|(intent, charge, amount, currency)| Back {
            intent,
            charge,
            amount,
            currency,
        });
    let dispute = prop_oneof![1 => Just(7_usize), 1 => 0..DISPUTE.len()];
    let refund = prop_oneof![1 => Just(2_usize), 1 => 0..REFUND.len()];
    let customer = prop::collection::vec((0..3_i64, 0..4_u8), 1..3);
    let several = |most| 0..most;
    (
        prop::collection::vec(customer, several(2)),
        prop::collection::vec(story(Just(()), subscription_states()), several(3)),
        prop::collection::vec(story(bill, invoice), several(3)),
        prop::collection::vec(story(back, refund), several(3)),
        prop::collection::vec(story(intents(), dispute), several(2)),
        prop::collection::vec(story(intents(), amount()), several(2)),
    )
        .prop_map(
            |(customers, subscriptions, invoices, refunds, disputes, charges)| Payments {
                customers,
                subscriptions,
                invoices,
                refunds,
                disputes,
                charges,
            },
        )
}
