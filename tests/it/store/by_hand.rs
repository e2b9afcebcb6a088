//! Payments that wait for their user, and what people do about it.

use hookmirror::model::operator::Mode;
use hookmirror::model::payment::{Attributed, Attribution, Basis, Fact};
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::{apply, report, state_of};
use crate::support::facts::subscription;
use crate::support::given::{
    asked, at, by_customer, for_real, mirror, opened, received, record, session, session_of, tell,
    user, user_id,
};

async fn give(
    store: &dyn Store,
    id: &str,
    (from, to): (Option<&str>, &str),
    mode: Mode,
) -> Attributed {
    let from = from.map(user_id);
    store
        .attribute(id, &user_id(to), from.as_ref(), &asked(mode), at(90))
        .await
        .unwrap()
}

pub(super) async fn what_waits_is_listed_longest_first_and_counted(store: &dyn Store) {
    let counts = store.count_events(&[]).await.unwrap();
    assert_eq!(counts.waiting, Default::default());
    assert_eq!(store.waiting_payments(10).await.unwrap(), []);

    let mut begun = subscription("sub_1");
    begun.customer = Some("cus_2".to_owned());
    let batch = [
        received(30, record("evt_1", by_customer("cus_1", session("cs_1")))),
        received(10, record("evt_2", by_customer("cus_1", session("cs_1")))),
        received(20, tell("evt_3", Fact::Subscription(begun.clone()))),
        received(5, tell("evt_4", Fact::Subscription(subscription("sub_2")))),
        received(1, record("evt_5", session_of("cs_2", "user_a"))),
    ];
    apply(store, 40, &batch).await;

    let waiting = store.waiting_payments(10).await.unwrap();
    let told: Vec<_> = waiting
        .iter()
        .map(|payment| {
            (
                payment.id.as_str(),
                payment.oldest_received_at,
                payment.events,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("sub_2", at(5), 1),
            ("cs_1", at(10), 2),
            ("sub_1", at(20), 1)
        ]
    );
    let cs = &waiting[1];
    assert_eq!(cs.customer.as_deref(), Some("cus_1"));
    assert_eq!(
        (cs.amount, cs.currency.as_deref()),
        (Some(4900), Some("eur"))
    );
    assert_eq!(cs.payment.as_deref(), Some("paid"));
    assert_eq!(waiting[2].status.as_deref(), Some("active"));
    assert_eq!(store.waiting_payments(1).await.unwrap(), waiting[..1]);

    let counts = store.count_events(&[]).await.unwrap().waiting;
    assert_eq!((counts.payments, counts.events), (3, 4));
    assert_eq!(counts.oldest_received_at, Some(at(5)));

    // Whoever has a user waits no more.
    begun.named_user = session_of("cs_9", "user_b").named_user;
    apply(store, 50, &[tell("evt_6", Fact::Subscription(begun))]).await;
    let waiting = store.waiting_payments(10).await.unwrap();
    assert_eq!(waiting.len(), 2);
}

pub(super) async fn what_is_given_by_hand_takes_its_customer_along_and_is_recorded(
    store: &dyn Store,
) {
    let first = opened(1, by_customer("cus_1", session("cs_1")));
    let second = opened(2, by_customer("cus_1", session("cs_2")));
    apply(store, 0, &[record("evt_1", first.clone())]).await;
    apply(store, 1, &[record("evt_2", second)]).await;
    let ownership = store.find_ownership("cs_1").await.unwrap().unwrap();
    assert_eq!((ownership.owner.as_ref(), ownership.basis()), (None, None));

    let done = give(store, "cs_1", (None, "user_a"), for_real()).await;
    assert_eq!(done.attribution, Attribution::Done);
    let moved: Vec<_> = done.moves.iter().map(|moved| moved.id.as_str()).collect();
    assert_eq!(moved, ["cs_1", "cs_2"]);
    let [verdict] = &done.verdicts[..] else {
        panic!("one user gains: {done:?}");
    };
    assert_eq!(
        (&verdict.user, &verdict.before),
        (&user_id("user_a"), &None)
    );
    let found = report(store, "user_a").await;
    assert_eq!(verdict.after, found.entitlement);
    assert_eq!(found.facts.sessions.len(), 2);
    assert_eq!(found.outbox.unwrap().desired["stripe"]["paid"], true);
    for event in ["evt_1", "evt_2"] {
        assert_eq!(state_of(store, event).await, EventState::Applied);
    }
    let recorded = store.operator_actions(10).await.unwrap();
    assert_eq!(recorded, [done.action.unwrap()]);
    assert_eq!((recorded[0].matched, recorded[0].changed), (2, 2));
    assert_eq!(recorded[0].reason.as_deref(), Some("asked support"));
    assert_eq!(recorded[0].operator.as_str(), "ada");

    let basis = async |id| {
        let ownership = store.find_ownership(id).await.unwrap().unwrap();
        ownership.basis().unwrap()
    };
    assert_eq!(basis("cs_1").await, Basis::Given);
    assert_eq!(basis("cs_2").await, Basis::Linked);

    // A person's word holds over what a later event says.
    let named = by_customer("cus_1", session_of("cs_1", "user_b"));
    apply(store, 100, &[record("evt_3", opened(1, named))]).await;
    assert!(report(store, "user_a").await.entitlement.unwrap().paid);
    // Another person's holds over it, and both users are told.
    let done = give(store, "cs_1", (Some("user_a"), "user_c"), for_real()).await;
    let told: Vec<_> = done
        .verdicts
        .iter()
        .map(|verdict| verdict.user.as_str())
        .collect();
    assert_eq!(told, ["user_a", "user_c"]);
    let loser = &done.verdicts[0];
    assert!(loser.before.is_some() && loser.after.is_none(), "{loser:?}");
    // The last word holds, even if the clock has not gone on, or the machine's is behind.
    let done = give(store, "cs_1", (Some("user_c"), "user_a"), for_real()).await;
    assert_eq!(done.moves.len(), 2, "{done:?}");
    assert!(report(store, "user_a").await.entitlement.unwrap().paid);
}

pub(super) async fn a_dry_run_leaves_nothing_but_its_record(store: &dyn Store) {
    apply(store, 0, &[mirror("msg_1", user("user_a", 0, "Ada"))]).await;
    apply(store, 1, &[record("evt_1", session("cs_1"))]).await;
    let tried = give(store, "cs_1", (None, "user_a"), Mode::DryRun).await;
    assert_eq!(tried.attribution, Attribution::Done);
    assert!(tried.verdicts[0].after.as_ref().unwrap().paid);
    assert_eq!(tried.moves.len(), 1);

    let found = report(store, "user_a").await;
    assert_eq!((found.entitlement, found.outbox), (None, None));
    assert_eq!(found.facts, Default::default());
    assert_eq!(state_of(store, "evt_1").await, EventState::Waiting);
    let ownership = store.find_ownership("cs_1").await.unwrap().unwrap();
    assert_eq!((ownership.owner, ownership.given), (None, None));
    let recorded = store.operator_actions(10).await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert!(recorded[0].dry_run);
    assert_eq!((recorded[0].matched, recorded[0].changed), (1, 0));

    // The same for real comes out as it was told.
    let done = give(store, "cs_1", (None, "user_a"), for_real()).await;
    assert_eq!((done.moves, done.verdicts), (tried.moves, tried.verdicts));
}

pub(super) async fn what_changed_hands_since_is_not_given_away(store: &dyn Store) {
    apply(store, 0, &[record("evt_1", session_of("cs_1", "user_a"))]).await;
    for mode in [Mode::DryRun, for_real()] {
        let late = give(store, "cs_1", (None, "user_b"), mode.clone()).await;
        let owner = Some(user_id("user_a"));
        assert_eq!(late, Attributed::not_done(Attribution::OwnedBy(owner)));
        let unknown = give(store, "cs_9", (None, "user_b"), mode).await;
        assert_eq!(unknown, Attributed::not_done(Attribution::Unknown));
    }
    assert_eq!(store.operator_actions(10).await.unwrap(), []);
    assert!(report(store, "user_a").await.entitlement.unwrap().paid);
    assert_eq!(store.find_user(&user_id("user_b")).await.unwrap(), None);
}
