//! Replays of events whose source is paused: they wait, they are not put aside, and then each is
//! processed once.

use std::time::Duration;

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::operator::Operator;
use hookmirror::model::replay::{ReplayId, ReplayLease, ReplayRound, ReplayState, ReplayStep};
use hookmirror::model::state::EventState;
use hookmirror::store::{STALLED_AFTER, Store};

use super::pauses::{pause, put_back, release, resume, standing};
use super::replays::{events, find, start};
use super::{apply, outcomes, record_of, state_of};
use crate::support::database::Database;
use crate::support::given::{
    at, by_customer, failing, for_real, ignore, mirror, record, replayed, retry, session,
    session_of, user,
};

const LEASE: Duration = Duration::from_secs(30);

async fn round(store: &dyn Store, now: i64) -> ReplayRound {
    store
        .lease_replays(at(now), at(now).plus(LEASE))
        .await
        .unwrap()
}

async fn lease(store: &dyn Store, now: i64) -> Vec<ReplayLease> {
    round(store, now).await.leases
}

/// Leases what there is and reports it as queued; answers what, by its event.
async fn queue(store: &dyn Store, now: i64) -> Vec<String> {
    let leases = lease(store, now).await;
    store.replays_queued(&leases, at(now)).await.unwrap();
    leases
        .iter()
        .map(|lease| lease.event.key.id.to_string())
        .collect()
}

async fn steps(store: &dyn Store, id: ReplayId) -> Vec<ReplayStep> {
    let events = events(store, id).await;
    events.iter().map(|event| event.step).collect()
}

/// How many attempts were made for the replay.
async fn attempts(store: &dyn Store, event: &str, id: ReplayId) -> usize {
    let attempts = record_of(store, event).await.attempts;
    let trigger = format!("replay:{id}");
    attempts
        .iter()
        .filter(|attempt| attempt.trigger == trigger)
        .count()
}

fn paid(event: &str) -> Planned {
    record(event, session_of(&event.replace("evt", "cs"), "user_a"))
}

/// The messages are on the queue when the pause begins, and come to a worker while it lasts.
pub(super) async fn messages_in_flight_go_back_and_are_processed_once(database: &Database) {
    let store = &*database.store;
    let unpaid_for = |event| by_customer("cus_1", session(event));
    let waits = record("evt_3", unpaid_for("cs_3"));
    let before = [
        paid("evt_1"),
        failing("evt_2", "checkout.session.completed", "a place"),
        waits.clone(),
        retry("evt_4"),
        failing("evt_5", "checkout.session.completed", "a place"),
    ];
    apply(store, 0, &before).await;
    database
        .execute("UPDATE events SET state = 'discarded' WHERE event_id = 'evt_5'")
        .await;
    let names = ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5"];
    let id = start(store, 1, &names).await;
    assert_eq!(queue(store, 10).await, names);
    let mut known = Vec::new();
    for name in names {
        known.push(record_of(store, name).await);
    }

    pause(store, &["stripe"]).await;
    let again = [
        paid("evt_1"),
        paid("evt_2"),
        waits,
        paid("evt_4"),
        paid("evt_5"),
    ];
    let messages = again.map(|planned| replayed(id, planned));
    let came = outcomes(store, 11, &messages).await;
    assert_eq!(came, [Outcome::Duplicate; 5]);
    for mut before in known {
        before.summary.deliveries += 1;
        let now = record_of(store, before.summary.key.id.as_str()).await;
        assert_eq!(now, before, "only counted");
    }
    assert_eq!(standing(store, "stripe").await.parked, 0);
    assert_eq!(steps(store, id).await, [ReplayStep::Pending; 5]);
    // Nothing to do and nothing that moves, however long it lasts.
    for now in [11, 12, 100_000] {
        assert_eq!(round(store, now).await, ReplayRound::default(), "{now}");
    }
    assert_eq!(find(store, id).await.replay.state, ReplayState::Running);

    resume(store, &["stripe"]).await;
    assert_eq!(release(store, 10, 100_001).await, 0);
    assert_eq!(queue(store, 100_001).await, names);
    apply(store, 100_002, &messages).await;
    assert_eq!(steps(store, id).await, [ReplayStep::Done; 5]);
    // The broker hands out once more what was not acknowledged in time.
    let came = outcomes(store, 100_003, &messages).await;
    assert_eq!(came, [Outcome::Duplicate; 5]);
    for name in names {
        assert_eq!(attempts(store, name, id).await, 1, "{name}");
        let expected = match name {
            "evt_3" => EventState::Waiting,
            _ => EventState::Applied,
        };
        assert_eq!(state_of(store, name).await, expected, "{name}");
    }
    round(store, 100_004).await;
    let ended = find(store, id).await.replay;
    assert_eq!((ended.state, ended.done), (ReplayState::Done, 5));
}

/// The worker may be faster than the report that the message is on the queue.
pub(super) async fn a_report_that_comes_after_the_pause_says_nothing(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[paid("evt_1")]).await;
    let id = start(store, 1, &["evt_1"]).await;
    let leases = lease(store, 10).await;
    pause(store, &["stripe"]).await;
    apply(store, 11, &[replayed(id, paid("evt_1"))]).await;
    store.replays_queued(&leases, at(12)).await.unwrap();
    assert_eq!(steps(store, id).await, [ReplayStep::Pending]);
    resume(store, &["stripe"]).await;
    // Neither the old lease nor the old report keeps it.
    assert_eq!(queue(store, 13).await, ["evt_1"]);
    assert_eq!(steps(store, id).await, [ReplayStep::Queued]);
}

pub(super) async fn other_sources_of_a_replay_do_not_wait(database: &Database) {
    let store = &*database.store;
    let ann = |event, time| mirror(event, user("user_a", time, "Ann"));
    let batch = [
        paid("evt_1"),
        ann("msg_1", 1),
        ignore("evt_2", "a.type"),
        ann("msg_2", 2),
    ];
    apply(store, 0, &batch).await;
    let id = start(store, 1, &["evt_1", "msg_1", "evt_2", "msg_2"]).await;
    pause(store, &["stripe"]).await;
    let [_, first, _, second] = &batch;
    for (now, name, message) in [(10, "msg_1", first), (12, "msg_2", second)] {
        assert_eq!(queue(store, now).await, [name]);
        apply(store, now + 1, &[replayed(id, message.clone())]).await;
    }
    assert_eq!(round(store, 14).await, ReplayRound::default());
    let (done, waits) = (ReplayStep::Done, ReplayStep::Pending);
    let mut expected: Vec<_> = [
        ("evt_1", waits),
        ("msg_1", done),
        ("evt_2", waits),
        ("msg_2", done),
    ]
    .into();
    let mut found: Vec<_> = events(store, id).await;
    found.sort_by_key(|event| event.key.id.clone());
    let found: Vec<_> = found
        .iter()
        .map(|of| (of.key.id.as_str(), of.step))
        .collect();
    expected.sort_by_key(|(name, _)| *name);
    assert_eq!(found, expected);

    resume(store, &["stripe"]).await;
    let mut rest = queue(store, 20).await;
    rest.sort();
    assert_eq!(rest, ["evt_1", "evt_2"]);
}

/// What comes from the provider in the same batch is put aside for itself.
pub(super) async fn what_is_put_aside_and_replayed_is_done_for_both(database: &Database) {
    let store = &*database.store;
    pause(store, &["stripe"]).await;
    apply(store, 2, &[paid("evt_1")]).await;
    let id = start(store, 3, &["evt_1"]).await;
    assert!(!round(store, 4).await.running);
    // As if it had been leased before the pause.
    for batch in [
        vec![replayed(id, paid("evt_1"))],
        vec![paid("evt_1"), replayed(id, paid("evt_1"))],
    ] {
        apply(store, 5, &batch).await;
        assert_eq!(steps(store, id).await, [ReplayStep::Pending]);
        let parked = record_of(store, "evt_1").await.summary;
        assert_eq!(
            (parked.state, parked.outcome.as_str()),
            (EventState::Queued, "paused")
        );
        assert_eq!(parked.attempts, 0);
    }
    assert_eq!(standing(store, "stripe").await.parked, 1);

    resume(store, &["stripe"]).await;
    assert_eq!(release(store, 10, 6).await, 1);
    assert_eq!(put_back(store, 6).await, ["evt_1"]);
    assert_eq!(queue(store, 6).await, ["evt_1"]);
    let came = outcomes(store, 7, &[replayed(id, paid("evt_1"))]).await;
    assert_eq!(came, [Outcome::PaymentRecorded]);
    let came = outcomes(store, 8, &[paid("evt_1")]).await;
    assert_eq!(came, [Outcome::Duplicate], "the one that was put aside");
    let applied = record_of(store, "evt_1").await.summary;
    assert_eq!((applied.state, applied.attempts), (EventState::Applied, 1));
    assert_eq!(steps(store, id).await, [ReplayStep::Done]);
    assert_eq!(release(store, 10, 9).await, 0);
}

pub(super) async fn what_waits_for_a_source_can_be_cancelled(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[paid("evt_1"), paid("evt_2")]).await;
    let id = start(store, 1, &["evt_1", "evt_2"]).await;
    queue(store, 10).await;
    pause(store, &["stripe"]).await;
    apply(store, 11, &[replayed(id, paid("evt_1"))]).await;
    let operator = Operator::parse("ada").unwrap();
    let cancelled = store
        .cancel_replay(id, &operator, &for_real(), at(12))
        .await;
    let replay = cancelled.unwrap().unwrap().replay;
    assert_eq!((replay.done, replay.cancelled), (0, 2));
    apply(store, 13, &[replayed(id, paid("evt_2"))]).await;
    resume(store, &["stripe"]).await;
    apply(store, 14, &[replayed(id, paid("evt_2"))]).await;
    assert_eq!(steps(store, id).await, [ReplayStep::Cancelled; 2]);
    assert_eq!(round(store, 15).await, ReplayRound::default());
    assert_eq!(attempts(store, "evt_2", id).await, 0);
    assert_eq!(standing(store, "stripe").await.parked, 0);
}

/// A message that is lost while the source is paused is not lost for its replay.
pub(super) async fn what_a_queue_lost_meanwhile_goes_there_again(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[paid("evt_1")]).await;
    let id = start(store, 1, &["evt_1"]).await;
    assert_eq!(queue(store, 10).await, ["evt_1"]);
    pause(store, &["stripe"]).await;
    let late = 11 + i64::try_from(STALLED_AFTER.as_secs()).unwrap();
    assert!(round(store, late).await.leases.is_empty());
    assert_eq!(steps(store, id).await, [ReplayStep::Pending]);
    assert_eq!(round(store, late + 1).await, ReplayRound::default());
    resume(store, &["stripe"]).await;
    assert_eq!(queue(store, late + 2).await, ["evt_1"]);
}
