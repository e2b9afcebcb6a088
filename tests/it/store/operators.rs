//! What people do to the outbox by hand, and its record.

use hookmirror::model::operator::{ActionRecord, Mode, Operator, OperatorAction, Reason};
use hookmirror::model::outbox::{
    DeliveryOutcome, DeliveryState, OutboxChange, OutboxFilter, OutboxLease, Recipients,
    RetryReason,
};
use hookmirror::model::payment::PaymentStatus;
use hookmirror::store::Store;
use serde_json::json;

use super::{apply, report};
use crate::support::given::{at, opened, record, session_of, user_id};

const DRY_RUN: Mode = Mode::DryRun;

fn for_real() -> Mode {
    Mode::Execute(Reason::parse("because").unwrap())
}

fn users(users: &[&str]) -> OutboxFilter {
    OutboxFilter {
        users: users.iter().map(|user| user_id(user)).collect(),
        ..OutboxFilter::default()
    }
}

fn states(states: &[DeliveryState]) -> OutboxFilter {
    OutboxFilter {
        states: states.to_vec(),
        ..OutboxFilter::default()
    }
}

/// Asks for it at this time; answers how many matched and how many were changed.
async fn change(
    store: &dyn Store,
    now: i64,
    change: OutboxChange,
    filter: &OutboxFilter,
    mode: Mode,
) -> (u64, u64) {
    let action = OperatorAction {
        operator: Operator::parse("ann").unwrap(),
        action: "outbox something",
        target: json!(filter),
        mode,
    };
    let done = store.change_outbox(change, filter, &action, at(now)).await;
    let done = done.unwrap();
    (done.matched, done.changed)
}

/// One entry for each outcome, leased and settled at this time.
async fn entries(store: &dyn Store, now: i64, outcomes: &[(&str, Option<DeliveryOutcome>)]) {
    for (user, _) in outcomes {
        let session = session_of(&format!("cs_{user}"), user);
        apply(store, now, &[record(&format!("evt_{user}"), session)]).await;
    }
    for lease in lease(store, now).await {
        let found = outcomes
            .iter()
            .find(|(user, _)| *user == lease.user_id.as_str());
        if let Some(outcome) = &found.unwrap().1 {
            store.settle_outbox(&lease, outcome, at(now)).await.unwrap();
        }
    }
}

async fn lease(store: &dyn Store, now: i64) -> Vec<OutboxLease> {
    store
        .lease_outbox(&Recipients::All, 10, at(now), at(now + 30))
        .await
        .unwrap()
}

async fn state(store: &dyn Store, user: &str) -> DeliveryState {
    report(store, user).await.outbox.unwrap().state
}

async fn due(store: &dyn Store) -> Option<i64> {
    let due = store.next_outbox_due(&Recipients::All).await.unwrap()?;
    Some(due.as_seconds() - at(0).as_seconds())
}

fn retry() -> Option<DeliveryOutcome> {
    Some(DeliveryOutcome::Retry {
        at: at(1000),
        because: RetryReason::Failed,
        error: "no answer".to_owned(),
    })
}

fn parked() -> Option<DeliveryOutcome> {
    Some(DeliveryOutcome::Parked {
        error: "refused".to_owned(),
    })
}

fn gone() -> Option<DeliveryOutcome> {
    Some(DeliveryOutcome::UserGone {
        again_at: at(1000),
        error: "not found".to_owned(),
    })
}

fn delivered() -> Option<DeliveryOutcome> {
    Some(DeliveryOutcome::Delivered)
}

pub(super) async fn a_dry_run_changes_nothing_and_is_recorded(store: &dyn Store) {
    entries(store, 1, &[("user_a", parked()), ("user_b", parked())]).await;
    let before = report(store, "user_a").await.outbox;
    let filter = states(&[DeliveryState::Parked]);
    for what in [OutboxChange::Retry, OutboxChange::Discard] {
        assert_eq!(change(store, 2, what, &filter, DRY_RUN).await, (2, 0));
    }
    assert_eq!(report(store, "user_a").await.outbox, before);
    assert_eq!(due(store).await, None);

    let retried = change(store, 3, OutboxChange::Retry, &filter, for_real()).await;
    assert_eq!(retried, (2, 2));
    let actions = store.operator_actions(10).await.unwrap();
    let told: Vec<_> = actions
        .iter()
        .map(|action| (action.at, action.dry_run, action.reason.as_deref()))
        .collect();
    let expected = [
        (at(3), false, Some("because")),
        (at(2), true, None),
        (at(2), true, None),
    ];
    assert_eq!(told, expected, "newest first");
    let latest = ActionRecord {
        id: actions[0].id,
        at: at(3),
        operator: Operator::parse("ann").unwrap(),
        action: "outbox something".to_owned(),
        reason: Some("because".to_owned()),
        target: json!({ "states": ["parked"] }),
        matched: 2,
        changed: 2,
        dry_run: false,
    };
    assert_eq!(actions[0], latest);
    assert!(actions[0].id > actions[1].id && actions[1].id > actions[2].id);
    assert_eq!(store.operator_actions(1).await.unwrap(), [latest]);
}

pub(super) async fn what_is_retried_is_due_without_failures(store: &dyn Store) {
    let all = [
        ("user_a", parked()),
        ("user_b", retry()),
        ("user_c", gone()),
        ("user_d", delivered()),
    ];
    entries(store, 1, &all).await;
    let filter = users(&["user_a", "user_b", "user_c", "user_d", "user_nobody"]);
    let retried = change(store, 5, OutboxChange::Retry, &filter, for_real()).await;
    assert_eq!(retried, (4, 4));
    assert_eq!(due(store).await, Some(5));
    let leases = lease(store, 5).await;
    assert_eq!(leases.len(), 4);
    for lease in &leases {
        assert_eq!((lease.failures, &lease.delivered), (0, &None));
    }
    // Nothing was sent: what was delivered once is still to be sent again.
    let resent = leases
        .iter()
        .find(|lease| lease.user_id == user_id("user_d"));
    let not_sent = DeliveryOutcome::NotSent { again_at: at(6) };
    store
        .settle_outbox(resent.unwrap(), &not_sent, at(6))
        .await
        .unwrap();
    assert_eq!(state(store, "user_d").await, DeliveryState::Pending);
}

pub(super) async fn what_is_under_way_is_not_sent_twice_at_once(store: &dyn Store) {
    entries(store, 1, &[("user_a", None)]).await;
    let filter = users(&["user_a"]);
    change(store, 5, OutboxChange::Retry, &filter, for_real()).await;
    assert_eq!(due(store).await, Some(31), "when its lease ends");
    assert!(lease(store, 30).await.is_empty());
}

pub(super) async fn what_is_discarded_waits_for_a_change(store: &dyn Store) {
    entries(store, 1, &[("user_a", parked()), ("user_b", None)]).await;
    let filter = users(&["user_a", "user_b"]);
    let discarded = change(store, 2, OutboxChange::Discard, &filter, for_real()).await;
    assert_eq!(discarded, (2, 2));
    assert_eq!(due(store).await, None);
    for user in ["user_a", "user_b"] {
        assert_eq!(state(store, user).await, DeliveryState::Discarded);
    }
    assert!(store.undelivered(10).await.unwrap().is_empty());

    // Another desire revives it; one that was under way does so when its lease has ended.
    for user in ["user_a", "user_b"] {
        let mut session = opened(3, session_of(&format!("cs_2_{user}"), user));
        session.payment = PaymentStatus::NoPaymentRequired;
        apply(store, 3, &[record(&format!("evt_2_{user}"), session)]).await;
        assert_eq!(state(store, user).await, DeliveryState::Pending);
    }
    assert_eq!(lease(store, 3).await.len(), 1);
    assert_eq!(lease(store, 31).await.len(), 1);
}

pub(super) async fn what_ends_after_it_was_discarded_stays_so(store: &dyn Store) {
    entries(store, 1, &[("user_a", None)]).await;
    let lost = OutboxLease {
        lease: 1,
        user_id: user_id("user_a"),
        desired: json!({}),
        delivered: None,
        failures: 0,
        trace: None,
        mirrored: None,
    };
    change(
        store,
        2,
        OutboxChange::Discard,
        &users(&["user_a"]),
        for_real(),
    )
    .await;
    let outcomes = [delivered(), parked(), retry()].into_iter().flatten();
    for outcome in outcomes.chain([DeliveryOutcome::NotSent { again_at: at(3) }]) {
        store.settle_outbox(&lost, &outcome, at(3)).await.unwrap();
        assert_eq!(state(store, "user_a").await, DeliveryState::Discarded);
    }
}

pub(super) async fn entries_are_listed_counted_and_found(store: &dyn Store) {
    assert!(store.count_outbox().await.unwrap().is_empty());
    entries(store, 1, &[("user_b", parked())]).await;
    entries(store, 2, &[("user_c", retry()), ("user_a", parked())]).await;
    let list = async |filter: OutboxFilter, limit| -> Vec<String> {
        let entries = store.list_outbox(&filter, limit).await.unwrap();
        entries.iter().map(|e| e.user_id.to_string()).collect()
    };
    let all = list(OutboxFilter::default(), 10).await;
    assert_eq!(all, ["user_b", "user_a", "user_c"]);
    let parked = list(states(&[DeliveryState::Parked]), 10).await;
    assert_eq!(parked, ["user_b", "user_a"]);
    assert_eq!(list(OutboxFilter::default(), 1).await, ["user_b"]);
    assert_eq!(list(users(&["user_c"]), 10).await, ["user_c"]);
    let both = OutboxFilter {
        states: vec![DeliveryState::Parked],
        ..users(&["user_c", "user_a"])
    };
    assert_eq!(list(both, 10).await, ["user_a"]);

    let counts = store.count_outbox().await.unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (count.state, count.entries, count.oldest))
        .collect();
    assert_eq!(
        counts,
        [
            (DeliveryState::Parked, 2, at(1)),
            (DeliveryState::Pending, 1, at(2))
        ]
    );

    for now in 3..8 {
        let filter = users(&["user_c"]);
        change(store, now, OutboxChange::Retry, &filter, for_real()).await;
        let leases = lease(store, now).await;
        store
            .settle_outbox(&leases[0], &retry().unwrap(), at(now))
            .await
            .unwrap();
    }
    let found = store.find_outbox(&user_id("user_c"), 3).await.unwrap();
    let found = found.unwrap();
    assert_eq!((found.entry.failures, found.leases), (1, 6));
    assert_eq!(found.entry.desired_at, at(2));
    let times: Vec<_> = found.attempts.iter().map(|attempt| attempt.at).collect();
    assert_eq!(times, [at(7), at(6), at(5)], "newest first");
    assert_eq!(found.attempts[0].outcome, "retry");
    assert_eq!(found.attempts[0].error.as_deref(), Some("no answer"));
    let nobody = user_id("user_nobody");
    assert_eq!(store.find_outbox(&nobody, 3).await.unwrap(), None);
}
