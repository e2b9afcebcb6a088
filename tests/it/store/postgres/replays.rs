//! Replays that meet workers, schedulers and people who cancel them.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::operator::Operator;
use hookmirror::model::replay::{CancelledReplay, ReplayId, ReplayState, ReplayStep};
use hookmirror::model::state::EventState;
use hookmirror::store::postgres::PostgresStore;
use hookmirror::store::{Replays, Store};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::task::JoinHandle;

use super::execute;
use super::locks::{Scene, applying};
use crate::store::replays::{events, find, start};
use crate::store::{apply, record_of};
use crate::support::given::{at, failing, for_real, ignore, mirror, received, replayed, user};
use crate::support::postgres::TestDatabase;

fn ann(event: &str) -> Planned {
    mirror(event, user("user_a", 1, "Ann"))
}

fn cancelling(store: &Arc<PostgresStore>, id: ReplayId) -> JoinHandle<CancelledReplay> {
    let store = Arc::clone(store);
    let operator = Operator::parse("ada").unwrap();
    tokio::spawn(async move {
        let mode = for_real();
        let cancelled = store.cancel_replay(id, &operator, &mode, at(20)).await;
        cancelled.unwrap().unwrap()
    })
}

#[tokio::test]
async fn who_cancels_waits_for_a_worker_in_flight() {
    let mut scene = Scene::new().await;
    let store = Arc::clone(&scene.first);
    let broken = ["msg_1", "msg_2", "msg_3"].map(|event| failing(event, "a.type", "a place"));
    apply(&*store, 0, &broken).await;
    let id = start(&*store, 1, &["msg_1", "msg_2", "msg_3"]).await;
    scene.hold("events").await;
    let working = applying(&scene.first, replayed(id, ignore("msg_2", "a.type")));
    scene.until_waiting(1).await;
    let cancelling = cancelling(&scene.second, id);
    scene.until_waiting(2).await;
    scene.let_go().await;
    assert!(matches!(working.await.unwrap(), Outcome::Ignored(_)));
    let replay = cancelling.await.unwrap().replay;
    assert_eq!((replay.done, replay.cancelled), (1, 2));
    let steps: Vec<_> = events(&*store, id)
        .await
        .iter()
        .map(|event| event.step)
        .collect();
    let cancelled = ReplayStep::Cancelled;
    assert_eq!(steps, [cancelled, ReplayStep::Done, cancelled]);
}

#[tokio::test]
async fn a_worker_that_meets_a_cancelled_replay_does_nothing() {
    let mut scene = Scene::new().await;
    let store = Arc::clone(&scene.first);
    apply(&*store, 0, &[failing("msg_1", "user.updated", "a place")]).await;
    let id = start(&*store, 1, &["msg_1"]).await;
    scene.hold("operator_actions").await;
    let cancelling = cancelling(&scene.first, id);
    scene.until_waiting(1).await;
    let working = applying(&scene.second, replayed(id, ann("msg_1")));
    scene.until_waiting(2).await;
    scene.let_go().await;
    assert_eq!(working.await.unwrap(), Outcome::Duplicate);
    assert_eq!(cancelling.await.unwrap().replay.cancelled, 1);
    let event = record_of(&*store, "msg_1").await;
    assert_eq!(event.summary.state, EventState::Failed);
    assert_eq!(event.attempts.len(), 1);
    assert_eq!(
        store
            .find_user(&crate::support::given::user_id("user_a"))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn of_two_messages_for_one_place_in_a_replay_one_has_an_effect() {
    let mut scene = Scene::new().await;
    let store = Arc::clone(&scene.first);
    apply(&*store, 0, &[failing("msg_1", "user.updated", "a place")]).await;
    let id = start(&*store, 1, &["msg_1"]).await;
    let message = || replayed(id, ann("msg_1"));
    let met = scene.meet(message(), message()).await;
    assert_eq!(met, [Outcome::UserMirrored, Outcome::Duplicate]);
    assert_eq!(record_of(&*store, "msg_1").await.summary.attempts, 2);
}

/// The later one has read the ledger before the earlier one wrote it.
#[tokio::test]
async fn of_two_replays_that_meet_a_failure_undoes_nothing() {
    for first_fails in [false, true] {
        let mut scene = Scene::new().await;
        let store = Arc::clone(&scene.first);
        let broken = || failing("msg_1", "user.updated", "a place");
        apply(&*store, 0, &[broken()]).await;
        let one = start(&*store, 1, &["msg_1"]).await;
        let other = start(&*store, 1, &["msg_1"]).await;
        let (first, second) = if first_fails {
            (broken(), ann("msg_1"))
        } else {
            (ann("msg_1"), broken())
        };
        scene
            .meet(replayed(one, first), replayed(other, second))
            .await;
        let event = record_of(&*store, "msg_1").await;
        assert_eq!(event.summary.state, EventState::Applied, "{first_fails}");
        assert_eq!(event.summary.attempts, 3);
        for id in [one, other] {
            assert_eq!(find(&*store, id).await.replay.done, 1);
        }
    }
}

/// An event that a webhook brings again while a replay has it in hand.
#[tokio::test]
async fn a_webhook_that_meets_a_replay_is_a_delivery() {
    let mut scene = Scene::new().await;
    let store = Arc::clone(&scene.first);
    apply(&*store, 0, &[ann("msg_1")]).await;
    let id = start(&*store, 1, &["msg_1"]).await;
    let met = scene.meet(replayed(id, ann("msg_1")), ann("msg_1")).await;
    assert_eq!(met, [Outcome::UserUnchanged, Outcome::Duplicate]);
    let event = record_of(&*store, "msg_1").await.summary;
    assert_eq!((event.attempts, event.deliveries), (2, 3));
}

const EVENTS: usize = 160;
const WORKERS: usize = 4;

/// Messages several times, in any order, in several workers at once, beside webhooks, another replay of
/// the same events, a scheduler, and somebody who cancels in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_meets_each_event_is_processed_once_or_cancelled() {
    for seed in 0..2 {
        let mut rng = StdRng::seed_from_u64(seed);
        let database = TestDatabase::migrated().await;
        // Nobody would notice, and those in a circle would wait until they fail.
        let name = database.url.rsplit('/').next().unwrap();
        let sql = format!("ALTER DATABASE {name} SET deadlock_timeout = '1h'");
        execute(&mut database.stranger().await, &sql).await;
        let store = Arc::new(database.store());
        let names: Vec<String> = (0..EVENTS)
            .map(|number| format!("msg_{number:03}"))
            .collect();
        let given: Vec<Planned> = names
            .iter()
            .zip(0..)
            .map(|(name, number)| {
                let id = format!("user_{}", number % 20);
                received(number, mirror(name, user(&id, number, "Any")))
            })
            .collect();
        apply(&*store, 0, &given).await;
        let ids: Vec<&str> = names.iter().map(String::as_str).collect();
        let cancelled = start(&*store, 1, &ids).await;
        let finished = start(&*store, 1, &ids).await;

        let workers = (0..WORKERS).map(|_| {
            let store = Arc::new(database.store());
            let mut messages: Vec<Planned> = Vec::new();
            // Held events become open as others are settled: so each comes several times.
            for _ in 0..4 {
                for planned in &given {
                    messages.push(planned.clone());
                    messages.push(replayed(cancelled, planned.clone()));
                    messages.push(replayed(finished, planned.clone()));
                }
            }
            messages.shuffle(&mut rng);
            tokio::spawn(async move {
                for batch in messages.chunks(30) {
                    store.apply(batch, at(10)).await.unwrap();
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        while find(&*store, cancelled).await.replay.done < 20 {
            let leased = store.lease_replays(at(5), at(6)).await.unwrap().leases;
            store.replays_queued(&leased, at(5)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ended = cancelling(&store, cancelled).await.unwrap().replay;
        for worker in workers {
            worker.await.unwrap();
        }
        // What was held when its last message came goes the ordinary way.
        let mut now = 100;
        loop {
            let round = store.lease_replays(at(now), at(now + 30)).await.unwrap();
            if !round.running {
                break;
            }
            let again: Vec<_> = round
                .leases
                .iter()
                .map(|lease| {
                    let place = ids.iter().position(|id| *id == lease.event.key.id.as_str());
                    replayed(lease.replay, given[place.unwrap()].clone())
                })
                .collect();
            store.replays_queued(&round.leases, at(now)).await.unwrap();
            apply(&*store, now, &again).await;
            now += 31;
        }

        assert_eq!(ended.state, ReplayState::Cancelled);
        assert!(ended.done >= 20 && ended.cancelled > 0, "{ended:?}");
        assert_eq!(ended.done + ended.cancelled, EVENTS as u64);
        assert_eq!(find(&*store, cancelled).await.replay, ended);
        assert_eq!(find(&*store, finished).await.replay.done, EVENTS as u64);
        let mut attempts = 0;
        for (id, step) in ids.iter().zip(events(&*store, cancelled).await) {
            let event = record_of(&*store, id).await;
            assert_eq!(event.summary.state, EventState::Applied);
            let of = |replay: ReplayId| {
                let trigger = format!("replay:{replay}");
                let of = event
                    .attempts
                    .iter()
                    .filter(move |at| at.trigger == trigger);
                of.count()
            };
            // One attempt may be for both.
            let is_done = step.step == ReplayStep::Done;
            assert!(of(cancelled) + of(finished) <= 1 + usize::from(is_done));
            assert!(of(cancelled) + of(finished) >= 1);
            assert_eq!(event.attempts.len(), of(cancelled) + of(finished));
            attempts += event.attempts.len();
        }
        assert!(attempts >= EVENTS);
    }
}
