//! What is known of a refund only climbs; one that has failed has failed for good.

use hookmirror::model::payment::{PaymentFact, Refund, RefundStatus};
use proptest::prelude::*;
use proptest::sample::select;

use super::{merge_laws, time, word};

fn account() -> impl Strategy<Value = Refund> {
    let links = (word(&["pi_1", "pi_2"]), word(&["ch_1", "ch_2"]));
    let money = (0_i64..3, word(&["eur", "usd"]), any::<bool>());
    (links, money, select(RefundStatus::ALL), time(), time()).prop_map(
        |(links, money, status, created_at, updated_at)| Refund {
            id: "re_1".to_owned(),
            payment_intent: links.0,
            charge: links.1,
            amount: money.0,
            currency: money.1,
            status,
            livemode: money.2,
            created_at,
            updated_at,
        },
    )
}

merge_laws!(account());

proptest! {
    #[test]
    fn merge_only_climbs(a in account(), b in account()) {
        let joined = a.clone().merge(b.clone());
        for account in [a, b] {
            prop_assert!(joined.status >= account.status);
            prop_assert!(joined.amount >= account.amount);
            prop_assert!(joined.payment_intent.is_some() || account.payment_intent.is_none());
            // Money that came back does not leave again.
            prop_assert!(account.status.gives_back() || !joined.status.gives_back());
        }
    }

    /// What failed before a charge told its sum is not in that sum; so the first time counts.
    #[test]
    fn a_status_dates_from_the_first_event_that_told_it(a in account(), b in account()) {
        let joined = a.clone().merge(b.clone());
        let told = [&a, &b].into_iter().filter(|account| account.status == joined.status);
        let first = told.map(|account| account.updated_at).min();
        prop_assert_eq!(Some(joined.updated_at), first);
    }
}

#[test]
fn only_what_failed_or_was_called_off_leaves_the_money_here() {
    for status in RefundStatus::ALL {
        let stays = matches!(status, RefundStatus::Canceled | RefundStatus::Failed);
        assert_eq!(status.gives_back(), !stays, "{status}");
    }
}
