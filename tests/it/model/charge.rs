//! What is known of a charge is its latest sums.

use hookmirror::model::payment::{Charge, PaymentFact};
use proptest::prelude::*;

use super::{merge_laws, time, word};

fn account() -> impl Strategy<Value = Charge> {
    let sums = (0_i64..3, 0_i64..3);
    let rest = (
        word(&["pi_1", "pi_2"]),
        word(&["eur", "usd"]),
        any::<bool>(),
    );
    (sums, rest, time(), time()).prop_map(|(sums, rest, created_at, updated_at)| Charge {
        id: "ch_1".to_owned(),
        payment_intent: rest.0,
        amount: sums.0,
        amount_refunded: sums.1,
        currency: rest.1,
        livemode: rest.2,
        created_at,
        updated_at,
    })
}

merge_laws!(account());

proptest! {
    #[test]
    fn the_sums_are_those_of_the_latest_account(a in account(), b in account()) {
        let order = |of: &Charge| (of.updated_at, of.amount_refunded, of.amount);
        let joined = a.clone().merge(b.clone());
        prop_assert_eq!(order(&joined), order(&a).max(order(&b)));
        prop_assert_eq!(
            joined.payment_intent.is_none(),
            a.payment_intent.is_none() && b.payment_intent.is_none()
        );
    }
}
