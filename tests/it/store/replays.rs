//! What processing an event for a replay does, and does not do.

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::event::EventId;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{Operator, Reason};
use hookmirror::model::replay::{
    ReplayId, ReplayOrder, ReplayRate, ReplayRecord, ReplayScope, ReplayState, ReplayStep,
    ReplayedEvent,
};
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::{apply, outcomes, record_of, report, state_of};
use crate::support::database::Database;
use crate::support::given::{
    at, customer, failing, for_real, ignore, key, mirror, record, replayed, retry, session,
    session_of, tell, user,
};

/// What Ada wants: these events, as fast as can be.
pub(super) fn order(ids: &[&str]) -> ReplayOrder {
    ordered(EventFilter {
        ids: ids.iter().map(|id| EventId::parse(id).unwrap()).collect(),
        ..EventFilter::default()
    })
}

pub(super) fn ordered(filter: EventFilter) -> ReplayOrder {
    ReplayOrder {
        scope: ReplayScope {
            filter,
            limit: None,
        },
        rate: ReplayRate::new(ReplayRate::MOST).unwrap(),
        operator: Operator::parse("ada").unwrap(),
    }
}

pub(super) async fn start_order(store: &dyn Store, now: i64, order: &ReplayOrder) -> ReplayId {
    let reason = Reason::parse("fixed in 1.2").unwrap();
    let started = store.start_replay(order, &reason, at(now)).await.unwrap();
    started.id.unwrap()
}

pub(super) async fn start(store: &dyn Store, now: i64, ids: &[&str]) -> ReplayId {
    start_order(store, now, &order(ids)).await
}

pub(super) async fn find(store: &dyn Store, id: ReplayId) -> ReplayRecord {
    store.find_replay(id).await.unwrap().unwrap()
}

pub(super) async fn events(store: &dyn Store, id: ReplayId) -> Vec<ReplayedEvent> {
    store.replayed_events(id, 0, 10_000).await.unwrap()
}

/// Outcome and state of the only event of a replay.
async fn only(store: &dyn Store, id: ReplayId) -> (Option<String>, Option<EventState>) {
    let mut events = events(store, id).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let only = events.remove(0);
    assert_eq!(only.step, ReplayStep::Done, "{only:?}");
    (only.outcome, only.state)
}

fn ann(event: &str) -> Planned {
    mirror(event, user("user_a", 1, "Ann"))
}

pub(super) async fn each_replay_of_an_event_processes_it_once(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[ann("msg_1")]).await;
    let first = start(store, 1, &["msg_1"]).await;
    let second = start(store, 2, &["msg_1"]).await;
    assert_ne!(first, second);
    for (now, id) in [(3, first), (4, second), (5, first), (6, second)] {
        let outcome = outcomes(store, now, &[replayed(id, ann("msg_1"))]).await;
        let expected = if now < 5 {
            Outcome::UserUnchanged
        } else {
            Outcome::Duplicate
        };
        assert_eq!(outcome, [expected], "{now}");
    }
    let event = record_of(store, "msg_1").await;
    assert_eq!((event.summary.deliveries, event.summary.attempts), (5, 3));
    let attempts = event.attempts.iter();
    let triggers: Vec<_> = attempts.map(|attempt| &attempt.trigger[..]).collect();
    let expected = [first, second].map(|id| format!("replay:{id}"));
    assert_eq!(triggers, expected);

    let of_event = store.replays_of(&key("msg_1")).await.unwrap();
    let of_event: Vec<_> = of_event
        .iter()
        .map(|of| (of.replay, of.step, of.settled_at, of.outcome.as_deref()))
        .collect();
    let unchanged = Some("user_unchanged");
    assert_eq!(
        of_event,
        [
            (first, ReplayStep::Done, Some(at(3)), unchanged),
            (second, ReplayStep::Done, Some(at(4)), unchanged),
        ]
    );
    assert!(store.replays_of(&key("evt_1")).await.unwrap().is_empty());
}

pub(super) async fn an_event_that_was_replayed_is_as_it_was(database: &Database) {
    let store = &*database.store;
    let batch = [ann("msg_1"), record("evt_1", session_of("cs_1", "user_a"))];
    apply(store, 0, &batch).await;
    let before = (
        record_of(store, "msg_1").await,
        report(store, "user_a").await,
    );
    let id = start(store, 1, &["msg_1", "evt_1"]).await;
    let again = batch.map(|planned| replayed(id, planned));
    let applied = apply(store, 5, &again).await;
    for applied in &applied {
        assert_eq!(applied.state, EventState::Applied);
    }
    let mut event = record_of(store, "msg_1").await;
    assert_eq!(event.attempts.len(), 1);
    event.attempts.clear();
    (event.summary.attempts, event.summary.deliveries) = (1, 1);
    let mut after = (event, report(store, "user_a").await);
    // When a row was written last is not promised.
    after.1.entitlement = before.1.entitlement.clone();
    assert_eq!(after, before);
}

pub(super) async fn a_message_of_a_replay_that_is_closed_only_counts(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[failing("msg_1", "a.type", "a place")]).await;
    let cancelled = start(store, 1, &["msg_1"]).await;
    let operator = Operator::parse("ada").unwrap();
    let ended = store
        .cancel_replay(cancelled, &operator, &for_real(), at(2))
        .await;
    assert_eq!(ended.unwrap().unwrap().replay.cancelled, 1);
    let before = record_of(store, "msg_1").await;
    for id in [cancelled, ReplayId::new(99).unwrap()] {
        let applied = apply(store, 3, &[replayed(id, ann("msg_1"))]).await;
        assert_eq!(applied[0].outcome, Outcome::Duplicate);
        assert_eq!(applied[0].state, EventState::Failed);
    }
    let mut after = record_of(store, "msg_1").await;
    assert_eq!(after.summary.deliveries, 3);
    after.summary.deliveries = 1;
    assert_eq!(after, before);
    assert_eq!(
        events(store, cancelled).await[0].step,
        ReplayStep::Cancelled
    );
    // It is no shield for the others either.
    let batch = [replayed(cancelled, ann("msg_1")), ann("msg_1")];
    let applied = outcomes(store, 4, &batch).await;
    assert_eq!(applied, [Outcome::UserMirrored, Outcome::Duplicate]);
    let attempt = &record_of(store, "msg_1").await.attempts[1];
    assert_eq!(attempt.trigger, "webhook");
}

/// A database that was restored knows less than the queue.
pub(super) async fn an_event_that_the_ledger_has_lost_is_not_swallowed(database: &Database) {
    let store = &*database.store;
    let id = ReplayId::new(7).unwrap();
    let outcome = outcomes(store, 0, &[replayed(id, ann("msg_1"))]).await;
    assert_eq!(outcome, [Outcome::UserMirrored]);
    assert_eq!(state_of(store, "msg_1").await, EventState::Applied);
}

pub(super) async fn one_processing_settles_all_that_a_batch_holds_of_an_event(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[ann("msg_1")]).await;
    let first = start(store, 1, &["msg_1"]).await;
    let second = start(store, 1, &["msg_1"]).await;
    let batch = [
        ann("msg_1"),
        replayed(second, ann("msg_1")),
        replayed(first, ann("msg_1")),
        replayed(first, ann("msg_1")),
    ];
    let applied = outcomes(store, 2, &batch).await;
    let duplicate = Outcome::Duplicate;
    assert_eq!(
        applied,
        [Outcome::UserUnchanged, duplicate, duplicate, duplicate]
    );
    for id in [first, second] {
        let expected = (Some("user_unchanged".to_owned()), Some(EventState::Applied));
        assert_eq!(only(store, id).await, expected);
    }
    let event = record_of(store, "msg_1").await;
    assert_eq!((event.summary.deliveries, event.summary.attempts), (5, 2));
    assert_eq!(event.attempts[0].trigger, format!("replay:{second}"));
}

pub(super) async fn a_replay_mends_the_mirror(database: &Database) {
    let store = &*database.store;
    let batch = [ann("msg_1"), record("evt_1", session_of("cs_1", "user_a"))];
    apply(store, 0, &batch).await;
    let before = report(store, "user_a").await;
    database.execute("DELETE FROM users").await;
    database.execute("DELETE FROM checkout_sessions").await;
    database
        .execute("UPDATE entitlements SET paid = (1 = 0)")
        .await;
    let id = start(store, 1, &["msg_1", "evt_1"]).await;
    let again = batch.map(|planned| replayed(id, planned));
    let outcomes = outcomes(store, 2, &again).await;
    assert_eq!(outcomes, [Outcome::UserMirrored, Outcome::PaymentRecorded]);
    let after = report(store, "user_a").await;
    assert!(after.entitlement.unwrap().paid);
    assert_eq!(after.facts, before.facts);
    assert_eq!(after.user.unwrap().email, before.user.unwrap().email);
}

pub(super) async fn what_was_done_is_not_undone_by_a_failing_replay(database: &Database) {
    let store = &*database.store;
    for (event, given, attempt) in [
        (
            "msg_1",
            ann("msg_1"),
            failing("msg_1", "user.updated", "a place"),
        ),
        (
            "msg_2",
            ignore("msg_2", "a.type"),
            failing("msg_2", "a.type", "a place"),
        ),
        ("msg_3", ann("msg_3"), retry("msg_3")),
        ("msg_4", ignore("msg_4", "user.updated"), retry("msg_4")),
        (
            "evt_5",
            record("evt_5", session("cs_5")),
            failing("evt_5", "a.type", "a place"),
        ),
        ("evt_6", record("evt_6", session("cs_6")), {
            let mut attempt = retry("evt_6");
            attempt.event.event_type = record("evt_6", session("cs_6")).event.event_type;
            attempt
        }),
    ] {
        apply(store, 0, &[given]).await;
        let before = record_of(store, event).await.summary;
        let id = start(store, 1, &[event]).await;
        let applied = apply(store, 2, &[replayed(id, attempt)]).await;
        assert_eq!(applied[0].state, before.state, "{event}");
        assert!(matches!(applied[0].outcome, Outcome::Failed(_)), "{event}");

        let after = record_of(store, event).await;
        let mut expected = before.clone();
        (expected.attempts, expected.deliveries) = (2, 2);
        assert_eq!(after.summary, expected);
        assert_eq!(store.next_retry_due().await.unwrap(), None);
        let last = after.attempts.last().unwrap();
        assert_eq!(last.trigger, format!("replay:{id}"));
        assert_eq!((last.attempt, last.state), (2, before.state));
        assert!(last.error.is_some());
        let kind = applied[0].outcome.as_str().to_owned();
        assert_eq!(only(store, id).await, (Some(kind), Some(before.state)));
        let replayed = &events(store, id).await[0];
        assert!(replayed.error.is_some());
    }
}

pub(super) async fn a_replay_leads_where_processing_leads(database: &Database) {
    let store = &*database.store;
    let broken = |event: &str| failing(event, "user.updated", "a place");
    let batch = [
        broken("msg_1"),
        retry("msg_2"),
        broken("msg_3"),
        ignore("msg_4", "user.updated"),
        broken("msg_5"),
        retry("msg_6"),
        ann("msg_7"),
        record("evt_8", session_of("cs_8", "user_b")),
    ];
    apply(store, 0, &batch).await;
    // The one is not acted on any more; of the other, nobody knows the user any more.
    database.execute("DELETE FROM checkout_sessions").await;
    database
        .execute("UPDATE events SET state = 'discarded' WHERE event_id = 'msg_3'")
        .await;
    for (event, then, state) in [
        ("msg_1", ann("msg_1"), EventState::Applied),
        ("msg_2", ann("msg_2"), EventState::Applied),
        ("msg_3", ann("msg_3"), EventState::Applied),
        ("msg_4", ann("msg_4"), EventState::Applied),
        ("msg_5", retry("msg_5"), EventState::Retrying),
        ("msg_6", broken("msg_6"), EventState::Failed),
        (
            "msg_7",
            ignore("msg_7", "user.updated"),
            EventState::Applied,
        ),
        (
            "evt_8",
            record("evt_8", session("cs_8")),
            EventState::Waiting,
        ),
    ] {
        let id = start(store, 1, &[event]).await;
        let applied = apply(store, 2, &[replayed(id, then)]).await;
        assert_eq!(applied[0].state, state, "{event}");
        let after = record_of(store, event).await.summary;
        assert_eq!(after.state, state);
        assert_eq!(after.applied_at.is_some(), state == EventState::Applied);
        assert_eq!(
            after.next_attempt_at.is_some(),
            state == EventState::Retrying
        );
        assert_eq!(only(store, id).await.1, Some(state));
    }
}

pub(super) async fn a_refused_value_fails_its_replay_alone(database: &Database) {
    let store = &*database.store;
    let mut bad = ann("msg_2");
    let mut refused = user("user_b", 1, "Bob");
    refused.unsafe_metadata = "not JSON".to_owned();
    let good = mirror("msg_1", user("user_c", 1, "Cid"));
    apply(store, 0, &[ann("msg_2"), good.clone()]).await;
    bad.decision = mirror("msg_2", refused).decision;
    let id = start(store, 1, &["msg_1", "msg_2"]).await;
    apply(store, 2, &[replayed(id, bad), replayed(id, good)]).await;
    let events = events(store, id).await;
    let ended: Vec<_> = events
        .iter()
        .map(|event| (event.key.id.as_str(), event.outcome.as_deref(), event.state))
        .collect();
    let applied = Some(EventState::Applied);
    assert_eq!(
        ended,
        [
            ("msg_1", Some("user_unchanged"), applied),
            ("msg_2", Some("data_refused"), applied),
        ]
    );
}

pub(super) async fn what_was_waiting_is_released_by_a_replay(database: &Database) {
    let store = &*database.store;
    let bought = || {
        let mut session = session("cs_1");
        session.customer = Some("cus_1".to_owned());
        record("evt_1", session)
    };
    let linked = || {
        let fact = hookmirror::model::payment::Fact::Customer(customer("cus_1", "user_a", 0));
        tell("evt_2", fact)
    };
    apply(
        store,
        0,
        &[bought(), failing("evt_2", "customer.updated", "a place")],
    )
    .await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Waiting);
    let id = start(store, 1, &["evt_1", "evt_2"]).await;
    apply(store, 2, &[replayed(id, bought())]).await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Waiting);
    apply(store, 3, &[replayed(id, linked())]).await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Applied);
    assert!(report(store, "user_a").await.entitlement.unwrap().paid);
    let id = start(store, 4, &["evt_1"]).await;
    apply(store, 5, &[replayed(id, bought())]).await;
    let recorded = Some("payment_recorded".to_owned());
    assert_eq!(only(store, id).await, (recorded, Some(EventState::Applied)));
    assert_eq!(find(store, id).await.replay.state, ReplayState::Running);
}
