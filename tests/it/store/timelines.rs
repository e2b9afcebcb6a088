//! What happened, in the order of time: the same from any id of one person's payments.

use std::collections::BTreeSet;

use hookmirror::model::changes::Planned;
use hookmirror::model::operator::Mode;
use hookmirror::model::outbox::{DeliveryOutcome, Recipients};
use hookmirror::model::payment::{CheckoutSession, Fact, Invoice, Refund, Subscription};
use hookmirror::model::timeline::{Happening, Timeline};
use hookmirror::store::Store;

use super::apply;
use crate::support::given::{
    asked, at, by_customer, charge, customer, dispute, failing, for_real, invoice, mirror,
    received, record, refund, session, session_of, subscription, tell, user, user_id,
};

/// An event of which the ledger knows what it is about, though not what it says.
fn about(subject: &str, planned: Planned) -> Planned {
    Planned {
        subject: Some(subject.to_owned()),
        ..planned
    }
}

/// A user who bought once, and subscribed; the money of the purchase went back. And a stranger, whose
/// session names the same customer.
async fn story(store: &dyn Store) {
    let bought = CheckoutSession {
        payment_intent: Some("pi_a".to_owned()),
        ..by_customer("cus_a", session_of("cs_a", "user_a"))
    };
    let subscribed = CheckoutSession {
        subscription: Some("sub_a".to_owned()),
        ..by_customer("cus_a", session("cs_sub"))
    };
    let renewed = Subscription {
        customer: Some("cus_a".to_owned()),
        ..subscription("sub_a")
    };
    let billed = Invoice {
        subscription: Some("sub_a".to_owned()),
        payment_intent: Some("pi_sub".to_owned()),
        ..invoice("in_a")
    };
    let given_back = Refund {
        charge: Some("ch_a".to_owned()),
        ..refund("re_a", "pi_a")
    };
    let batch = [
        received(1, mirror("msg_1", user("user_a", 1, "Ann"))),
        received(
            2,
            tell("evt_2", Fact::Customer(customer("cus_a", "user_a", 0))),
        ),
        received(3, record("evt_3", bought)),
        received(4, record("evt_4", subscribed)),
        received(5, tell("evt_5", Fact::Subscription(renewed))),
        received(6, about("cus_a", tell("evt_6", Fact::Invoice(billed)))),
        received(
            7,
            about("pi_a", tell("evt_7", Fact::Charge(charge("ch_a", "pi_a")))),
        ),
        received(8, about("pi_a", tell("evt_8", Fact::Refund(given_back)))),
        received(
            9,
            about(
                "pi_sub",
                tell("evt_9", Fact::Dispute(dispute("dp_a", "pi_sub"))),
            ),
        ),
        received(
            10,
            about(
                "cs_a",
                failing("evt_10", "checkout.session.expired", "data.x"),
            ),
        ),
        received(
            11,
            record("evt_11", by_customer("cus_a", session_of("cs_b", "user_b"))),
        ),
        received(12, record("evt_12", session("cs_nobody"))),
    ];
    apply(store, 20, &batch).await;
}

fn events(timeline: &Timeline) -> Vec<String> {
    let events = timeline.entries.iter().filter_map(|entry| match entry {
        Happening::Event(event) => Some(event.key.id.to_string()),
        _ => None,
    });
    events.collect()
}

pub(super) async fn any_id_of_one_person_tells_the_same(store: &dyn Store) {
    story(store).await;
    let expected = store.timeline("user_a", 100).await.unwrap();
    let all: Vec<String> = (2..=10).map(|number| format!("evt_{number}")).collect();
    assert_eq!(events(&expected)[1..], all);
    assert_eq!(events(&expected)[0], "msg_1");
    assert_eq!(expected.users, [user_id("user_a")]);
    assert!(!expected.is_cut);
    for id in [
        "cus_a", "cs_a", "cs_sub", "sub_a", "pi_a", "pi_sub", "in_a", "ch_a", "re_a", "dp_a",
    ] {
        let timeline = store.timeline(id, 100).await.unwrap();
        assert_eq!(timeline, expected, "from {id}");
    }
    let times = expected.entries.iter().map(Happening::at);
    assert!(times.is_sorted());
}

pub(super) async fn a_strangers_payment_by_the_same_customer_is_the_strangers(store: &dyn Store) {
    story(store).await;
    let stranger = store.timeline("cs_b", 100).await.unwrap();
    assert_eq!(stranger.users, [user_id("user_b")]);
    assert_eq!(events(&stranger), ["evt_11"]);
    assert_eq!(store.timeline("user_b", 100).await.unwrap(), stranger);
}

pub(super) async fn what_is_nobodys_and_what_nobody_knows_have_their_own(store: &dyn Store) {
    story(store).await;
    let nobodys = store.timeline("cs_nobody", 100).await.unwrap();
    assert_eq!(
        (events(&nobodys), nobodys.users),
        (vec!["evt_12".to_owned()], vec![])
    );
    for id in ["cs_unheard_of", "user_unheard_of", "' OR 1=1 --"] {
        let timeline = store.timeline(id, 100).await.unwrap();
        assert_eq!((timeline.entries, timeline.is_cut), (vec![], false));
        assert_eq!(timeline.subjects, [id]);
    }
    // Waits for its user, and leads to what it hangs together with all the same.
    let waiting = CheckoutSession {
        payment_intent: Some("pi_w".to_owned()),
        ..by_customer("cus_w", session("cs_w"))
    };
    let batch = [
        received(1, record("evt_w1", waiting)),
        received(
            2,
            about("pi_w", tell("evt_w2", Fact::Refund(refund("re_w", "pi_w")))),
        ),
        received(
            3,
            about("cus_w", failing("evt_w3", "customer.updated", "data.x")),
        ),
    ];
    apply(store, 30, &batch).await;
    for id in ["cs_w", "pi_w", "re_w", "cus_w"] {
        let timeline = store.timeline(id, 100).await.unwrap();
        assert_eq!(
            events(&timeline),
            ["evt_w1", "evt_w2", "evt_w3"],
            "from {id}"
        );
    }
}

pub(super) async fn attempts_deliveries_and_deeds_are_in_it(store: &dyn Store) {
    story(store).await;
    let leases = store
        .lease_outbox(&Recipients::All, 10, at(30), at(60))
        .await;
    for lease in leases.unwrap() {
        let outcome = DeliveryOutcome::Parked {
            error: "refused".to_owned(),
        };
        store.settle_outbox(&lease, &outcome, at(31)).await.unwrap();
    }
    for (payment, mode) in [("cs_a", Mode::DryRun), ("cs_b", for_real())] {
        let mut action = asked(mode);
        action.target = serde_json::json!({"payment": payment, "deep": [{"a": ["x"]}]});
        store
            .change_failures(
                hookmirror::model::failure::FailureChange::Resolve,
                &[],
                &action,
                at(40),
            )
            .await
            .unwrap();
    }
    let timeline = store.timeline("pi_a", 100).await.unwrap();
    let others: Vec<&Happening> = timeline
        .entries
        .iter()
        .filter(|entry| !matches!(entry, Happening::Event(_)))
        .collect();
    let [
        Happening::Attempt { key, attempt, .. },
        Happening::Delivery {
            user_id,
            attempt: told,
        },
        Happening::Action(action),
    ] = others[..]
    else {
        panic!("{others:?}");
    };
    assert_eq!(
        (key.id.as_str(), attempt.outcome.as_str()),
        ("evt_10", "payload_invalid")
    );
    assert_eq!(attempt.at, at(20));
    assert_eq!(
        (user_id.as_str(), told.outcome.as_str()),
        ("user_a", "parked")
    );
    assert_eq!(told.error.as_deref(), Some("refused"));
    assert_eq!(
        (action.target["payment"].as_str(), action.dry_run),
        (Some("cs_a"), true)
    );
}

pub(super) async fn of_a_long_timeline_the_newest_are_told(store: &dyn Store) {
    story(store).await;
    let whole = store.timeline("user_a", 100).await.unwrap();
    let length = whole.entries.len();
    for limit in 1..length {
        let part = store.timeline("user_a", limit as u32).await.unwrap();
        assert_eq!(part.entries, whole.entries[length - limit..], "{limit}");
        assert!(part.is_cut);
    }
    let exactly = store.timeline("user_a", length as u32).await.unwrap();
    assert_eq!(exactly, whole);
    let subjects: BTreeSet<_> = whole.subjects.iter().collect();
    assert_eq!(subjects.len(), whole.subjects.len());
}
