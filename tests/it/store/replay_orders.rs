//! Planning, starting and cancelling replays, and what is told of them.

use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{Mode, Operator};
use hookmirror::model::replay::plan::ReplayPlan;
use hookmirror::model::replay::plan::ReplayedKind;
use hookmirror::model::replay::{ReplayId, ReplayOrder, ReplayState, ReplayStep};
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::replays::{events, find, order, ordered, start, start_order};
use super::{apply, record_of};
use crate::support::database::Database;
use crate::support::given::{at, failing, for_real, ignore, key, mirror, received, replayed, user};

fn ada() -> Operator {
    Operator::parse("ada").unwrap()
}

fn failed() -> ReplayOrder {
    ordered(EventFilter {
        states: vec![EventState::Failed],
        ..EventFilter::default()
    })
}

/// Ends the only scheduler's turn.
async fn look(store: &dyn Store, now: i64) {
    store.lease_replays(at(now), at(now + 30)).await.unwrap();
}

pub(super) async fn a_replay_has_what_matches_in_the_order_of_arrival(database: &Database) {
    let store = &*database.store;
    let broken = |event: &str, time| received(time, failing(event, "a.type", "a place"));
    let batch = [
        broken("msg_3", 5),
        broken("msg_1", 9),
        ignore("msg_0", "a.type"),
        broken("msg_2", 1),
        broken("evt_9", 5),
    ];
    apply(store, 10, &batch).await;
    for (limit, expected) in [
        (None, &["msg_2", "msg_3", "evt_9", "msg_1"][..]),
        (Some(3), &["msg_2", "msg_3", "evt_9"]),
        (Some(9), &["msg_2", "msg_3", "evt_9", "msg_1"]),
    ] {
        let mut order = failed();
        order.scope.limit = limit;
        let id = start_order(store, 11, &order).await;
        let events = events(store, id).await;
        let ids: Vec<_> = events.iter().map(|event| event.key.id.as_str()).collect();
        assert_eq!(ids, expected, "{limit:?}");
        let positions: Vec<u64> = events.iter().map(|event| event.position).collect();
        assert_eq!(positions, (1..=expected.len() as u64).collect::<Vec<_>>());
        let replay = find(store, id).await.replay;
        assert_eq!(replay.total, expected.len() as u64);
        assert_eq!((replay.done, replay.cancelled), (0, 0));
        assert_eq!(replay.filter, serde_json::json!({"state": ["failed"]}));
        assert_eq!(replay.limit, limit.map(u64::from));
        assert_eq!(
            (&*replay.operator, &*replay.reason),
            ("ada", "fixed in 1.2")
        );
        assert_eq!(replay.created_at, at(11));
    }
    let actions = store.operator_actions(1).await.unwrap();
    assert_eq!(actions[0].action, "replay");
    assert_eq!((actions[0].matched, actions[0].changed), (4, 4));
    assert_eq!(actions[0].reason.as_deref(), Some("fixed in 1.2"));
    let expected = serde_json::json!({"filter": {"state": ["failed"]}, "limit": 9, "rate": 1000});
    assert_eq!(actions[0].target, expected);
}

pub(super) async fn a_plan_changes_nothing_and_is_recorded(database: &Database) {
    let store = &*database.store;
    let ann = |event: &str, time| received(time, mirror(event, user("user_a", 1, "Ann")));
    let broken = |event: &str, time| received(time, failing(event, "a.type", "a place"));
    let batch = [
        ann("msg_1", 1),
        ann("msg_2", 2),
        broken("evt_3", 3),
        broken("msg_4", 4),
    ];
    apply(store, 10, &batch).await;
    let all = ordered(EventFilter::default());
    let (plan, action) = store.plan_replay(&all, at(11)).await.unwrap();
    assert_eq!((plan.events, plan.not_kept, plan.subjects), (4, 0, Some(1)));
    assert_eq!((plan.oldest, plan.newest), (Some(at(1)), Some(at(4))));
    let kind = |planned: &_, state, events| {
        let hookmirror::model::changes::Planned { event, .. } = planned;
        ReplayedKind {
            event_type: event.event_type.clone(),
            source: event.key.source.clone(),
            state,
            events,
        }
    };
    assert_eq!(
        plan.kinds,
        [
            kind(&batch[0], EventState::Applied, 2),
            kind(&batch[3], EventState::Failed, 1),
            kind(&batch[2], EventState::Failed, 1),
        ]
    );
    assert_eq!(
        (action.matched, action.changed, action.dry_run),
        (4, 0, true)
    );
    assert_eq!(store.operator_actions(9).await.unwrap(), [action]);
    assert!(store.list_replays(9).await.unwrap().is_empty());

    let mut some = all;
    some.scope.limit = Some(3);
    let (plan, _) = store.plan_replay(&some, at(12)).await.unwrap();
    assert_eq!((plan.events, plan.newest), (3, Some(at(3))));
}

pub(super) async fn what_is_not_kept_is_not_replayed_and_told(database: &Database) {
    let store = &*database.store;
    let mut secret = ignore("msg_1", "email.created");
    secret.keep_payload = false;
    apply(store, 0, &[secret, ignore("msg_2", "a.type")]).await;
    let all = ordered(EventFilter::default());
    let (plan, _) = store.plan_replay(&all, at(1)).await.unwrap();
    assert_eq!((plan.events, plan.not_kept), (1, 1));
    let id = start_order(store, 2, &all).await;
    let events = events(store, id).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].key, key("msg_2"));
}

pub(super) async fn nothing_to_replay_is_no_replay(database: &Database) {
    let store = &*database.store;
    let (plan, action) = store.plan_replay(&failed(), at(0)).await.unwrap();
    let nothing = ReplayPlan {
        subjects: Some(0),
        ..ReplayPlan::default()
    };
    assert_eq!((plan, action.matched), (nothing, 0));
    let Mode::Execute(reason) = for_real() else {
        panic!("not for real");
    };
    let started = store.start_replay(&failed(), &reason, at(1)).await.unwrap();
    assert_eq!((started.id, started.action.matched), (None, 0));
    assert!(store.list_replays(9).await.unwrap().is_empty());
    assert!(store.running_replays().await.unwrap().is_empty());
    let unknown = ReplayId::new(1).unwrap();
    assert_eq!(store.find_replay(unknown).await.unwrap(), None);
    let cancelled = store
        .cancel_replay(unknown, &ada(), &for_real(), at(2))
        .await;
    assert_eq!(cancelled.unwrap(), None);
}

pub(super) async fn what_came_of_a_replay_is_told(database: &Database) {
    let store = &*database.store;
    let names = ["msg_1", "msg_2", "msg_3", "msg_4"];
    let broken = |event: &str| failing(event, "a.type", "a place");
    apply(store, 0, &names.map(broken)).await;
    let id = start(store, 1, &names).await;
    let fixed = names.map(|event| replayed(id, ignore(event, "a.type")));
    apply(store, 5, &fixed[..2]).await;
    apply(store, 6, &[replayed(id, broken("msg_3"))]).await;
    let running = store.running_replays().await.unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!(
        (running[0].id, running[0].total, running[0].done),
        (id, 4, 3)
    );
    let record = find(store, id).await;
    assert_eq!((record.held, record.pending, record.queued), (0, 1, 0));
    let told: Vec<_> = record
        .outcomes
        .iter()
        .map(|of| (&*of.outcome, of.state, of.events, of.example.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "type_not_handled",
                Some(EventState::Ignored),
                2,
                key("msg_1")
            ),
            ("payload_invalid", Some(EventState::Failed), 1, key("msg_3")),
        ]
    );
    let fingerprint = record_of(store, "msg_3").await.summary.fingerprint;
    assert_eq!(record.outcomes[1].fingerprint, fingerprint);

    look(store, 7).await;
    assert_eq!(find(store, id).await.replay.state, ReplayState::Running);
    apply(store, 8, &fixed[3..]).await;
    look(store, 9).await;
    let replay = find(store, id).await.replay;
    assert_eq!((replay.state, replay.done), (ReplayState::Done, 4));
    assert_eq!(replay.finished_at, Some(at(8)));
    assert!(store.running_replays().await.unwrap().is_empty());

    let page = store.replayed_events(id, 2, 1).await.unwrap();
    assert_eq!((page.len(), page[0].position), (1, 3));
    assert!(store.replayed_events(id, 4, 9).await.unwrap().is_empty());
    let other = start(store, 10, &["msg_3"]).await;
    let listed = store.list_replays(9).await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|replay| (replay.id, replay.done))
        .collect();
    assert_eq!(listed, [(other, 0), (id, 4)]);
    assert_eq!(store.list_replays(1).await.unwrap().len(), 1);
}

pub(super) async fn what_is_cancelled_is_exact(database: &Database) {
    let store = &*database.store;
    let names: Vec<String> = (1..=9).map(|number| format!("msg_{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let broken: Vec<_> = names
        .iter()
        .map(|event| failing(event, "a.type", "a place"))
        .collect();
    apply(store, 0, &broken).await;
    let id = start(store, 1, &names).await;
    let fixed = |event: &&str| replayed(id, ignore(event, "a.type"));
    let fixed: Vec<_> = names.iter().map(fixed).collect();
    let round = store.lease_replays(at(10), at(40)).await.unwrap();
    store
        .replays_queued(&round.leases[..6], at(11))
        .await
        .unwrap();
    apply(store, 12, &fixed[..4]).await;

    let looked = store.cancel_replay(id, &ada(), &Mode::DryRun, at(13)).await;
    let looked = looked.unwrap().unwrap();
    assert_eq!((looked.action.matched, looked.action.changed), (5, 0));
    assert_eq!(looked.replay.state, ReplayState::Running);

    let done = store.cancel_replay(id, &ada(), &for_real(), at(14)).await;
    let done = done.unwrap().unwrap();
    assert_eq!((done.action.matched, done.action.changed), (5, 5));
    assert_eq!(done.action.target, serde_json::json!({"replay": id}));
    let replay = done.replay;
    assert_eq!(replay.state, ReplayState::Cancelled);
    assert_eq!((replay.total, replay.done, replay.cancelled), (9, 4, 5));
    assert_eq!(replay.cancelled_by.as_deref(), Some("ada"));
    assert_eq!(replay.cancel_reason.as_deref(), Some("asked support"));
    assert_eq!(replay.finished_at, Some(at(14)));

    // What is still on the queue does nothing, and nothing more is put there.
    apply(store, 15, &fixed).await;
    store.replays_queued(&round.leases, at(16)).await.unwrap();
    let later = store.lease_replays(at(9000), at(9030)).await.unwrap();
    assert_eq!(later, Default::default());
    assert_eq!(find(store, id).await.replay, replay);
    for (place, event) in events(store, id).await.iter().enumerate() {
        let is_done = place < 4;
        let step = if is_done {
            ReplayStep::Done
        } else {
            ReplayStep::Cancelled
        };
        assert_eq!(event.step, step);
        let state = record_of(store, names[place]).await.summary.state;
        assert_eq!(state == EventState::Ignored, is_done);
    }
}

pub(super) async fn what_has_ended_is_not_cancelled(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[ignore("msg_1", "a.type")]).await;
    let order = order(&["msg_1"]);
    for scheduler_looked in [false, true] {
        let id = start_order(store, 1, &order).await;
        apply(store, 2, &[replayed(id, ignore("msg_1", "a.type"))]).await;
        if scheduler_looked {
            look(store, 3).await;
        }
        let cancelled = store.cancel_replay(id, &ada(), &for_real(), at(4)).await;
        let cancelled = cancelled.unwrap().unwrap();
        assert_eq!(
            (cancelled.action.matched, cancelled.replay.cancelled),
            (0, 0)
        );
        look(store, 5).await;
        let replay = find(store, id).await.replay;
        assert_eq!((replay.state, replay.done), (ReplayState::Done, 1));
        assert_eq!(replay.finished_at, Some(at(2)));
    }
}
