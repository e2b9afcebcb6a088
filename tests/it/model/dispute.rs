//! What is known of a dispute is its latest status.

use hookmirror::model::payment::{Dispute, DisputeStatus, PaymentFact};
use hookmirror::model::time::Timestamp;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{merge_laws, time, word};

fn account() -> impl Strategy<Value = Dispute> {
    let links = (word(&["pi_1", "pi_2"]), word(&["ch_1", "ch_2"]));
    let rest = (word(&["general", "fraudulent"]), any::<bool>());
    let money = (option::of(0_i64..3), word(&["eur", "usd"]));
    (
        links,
        rest,
        money,
        select(DisputeStatus::ALL),
        time(),
        time(),
    )
        .prop_map(
            |(links, rest, money, status, created_at, updated_at)| Dispute {
                id: "du_1".to_owned(),
                payment_intent: links.0,
                charge: links.1,
                amount: money.0,
                currency: money.1,
                reason: rest.0,
                status,
                livemode: rest.1,
                created_at,
                updated_at,
            },
        )
}

merge_laws!(account());

proptest! {
    #[test]
    fn the_status_is_that_of_the_latest_account(a in account(), b in account()) {
        let order = |of: &Dispute| (of.updated_at, of.status);
        let joined = a.clone().merge(b.clone());
        prop_assert_eq!(order(&joined), order(&a).max(order(&b)));
        prop_assert_eq!(
            joined.payment_intent.is_none(),
            a.payment_intent.is_none() && b.payment_intent.is_none()
        );
    }
}

fn told(status: DisputeStatus, at: i64) -> Dispute {
    Dispute {
        id: "du_1".to_owned(),
        payment_intent: None,
        charge: None,
        amount: None,
        currency: None,
        reason: None,
        status,
        livemode: false,
        created_at: Timestamp::from_seconds(0),
        updated_at: Timestamp::from_seconds(at),
    }
}

#[test]
fn within_a_second_the_end_holds() {
    use DisputeStatus::{
        ChargeRefunded, Lost, NeedsResponse, Prevented, UnderReview, WarningClosed,
        WarningNeedsResponse, WarningUnderReview, Won,
    };
    for (first, second) in [
        (WarningNeedsResponse, WarningUnderReview),
        (WarningUnderReview, WarningClosed),
        (WarningNeedsResponse, NeedsResponse),
        (NeedsResponse, UnderReview),
        (NeedsResponse, Prevented),
        (NeedsResponse, ChargeRefunded),
        (NeedsResponse, Lost),
        (UnderReview, Won),
        (UnderReview, Lost),
    ] {
        let joined = told(second, 1).merge(told(first, 1));
        assert_eq!(joined.status, second, "{first} then {second}");
    }
}

/// An inquiry that came to nothing can become a dispute, and one that was won can be lost.
#[test]
fn what_was_over_can_begin_again() {
    use DisputeStatus::{Lost, NeedsResponse, WarningClosed, Won};
    for (first, second) in [(WarningClosed, NeedsResponse), (Won, Lost), (Lost, Won)] {
        let joined = told(second, 2).merge(told(first, 1));
        assert_eq!(joined.status, second, "{first} then {second}");
    }
}
