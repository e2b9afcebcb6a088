//! The scheduler's own loop. What it waits for is real time here, as the database's threads know no
//! other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmirror::clock::{Clock, SystemClock};
use hookmirror::model::pause::SourceChange;
use hookmirror::model::retry::next_attempt;
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use hookmirror::scheduler::Scheduler;
use hookmirror::store::{Pauses, Store};
use tokio_util::sync::CancellationToken;

use super::{Bench, LEASE, unlucky};
use crate::support::faults::{Call, When};
use crate::support::given::{asked, at, for_real, key};
use crate::support::publisher::Behaviour;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a scheduler while the test goes on, and checks that it ends when told to.
async fn running(scheduler: Scheduler, test: impl Future<Output = ()>) {
    let stop = CancellationToken::new();
    let run = tokio::spawn(scheduler.run(stop.clone()));
    tokio::time::timeout(PATIENCE, test).await.unwrap();
    stop.cancel();
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
}

/// It sleeps until then: an idle one would find it up to a second later.
#[tokio::test]
async fn it_wakes_when_an_event_falls_due() {
    const AHEAD: Duration = Duration::from_millis(200);
    let bench = Bench::new().await;
    let mut latest = Duration::ZERO;
    for number in 0..3 {
        let id = format!("evt_{number}");
        let wait = next_attempt(&key(&id), 1, at(0)).unwrap().since(at(0));
        let due = SystemClock.now().plus(AHEAD);
        let failed = due.as_millis() - i64::try_from(wait.as_millis()).unwrap();
        let failed = Timestamp::from_millis(failed);
        bench.store.apply(&[unlucky(&id)], failed).await.unwrap();
        let scheduler = Scheduler {
            clock: Arc::new(SystemClock),
            ..bench.scheduler()
        };
        running(scheduler, async {
            bench.publisher.entered().await;
            let now = SystemClock.now();
            assert!(now >= due, "{now} is before {due}");
            latest = latest.max(now.since(due));
        })
        .await;
    }
    assert!(latest < Duration::from_millis(700), "{latest:?} late");
}

#[tokio::test]
async fn an_idle_one_looks_about_once_a_second_and_finds_what_others_plan() {
    let bench = Bench::new().await;
    running(bench.scheduler(), async {
        let start = Instant::now();
        bench.faults.until_ended(Call::LeaseRetries, 3).await;
        assert!(start.elapsed() > Duration::from_millis(1900));
        bench.unlucky(&["evt_1"]).await;
        bench.jump_to_next_due().await;
        bench.faults.until_ended(Call::RetriesQueued, 1).await;
    })
    .await;
    assert_eq!(bench.published(), ["stripe/evt_1"]);
}

#[tokio::test]
async fn more_than_one_round_is_done_without_a_pause() {
    let bench = Bench::new().await;
    let ids: Vec<String> = (0..500).map(|number| format!("evt_{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    bench.unlucky(&ids).await;
    bench.clock.advance(Duration::from_secs(60));
    running(bench.scheduler(), async {
        let start = Instant::now();
        bench.faults.until_ended(Call::RetriesQueued, 8).await;
        assert!(start.elapsed() < Duration::from_secs(5));
    })
    .await;
    assert_eq!(bench.published().len(), ids.len());
}

#[tokio::test]
async fn it_outlives_a_database_and_a_queue_that_are_away() {
    let bench = Bench::new().await;
    bench.unlucky(&["evt_1"]).await;
    bench.jump_to_next_due().await;
    bench.faults.break_down(Call::LeaseRetries, When::Before);
    bench.publisher.become_(Behaviour::Fail);
    running(bench.scheduler(), async {
        bench.faults.until_ended(Call::LeaseRetries, 5).await;
        bench.faults.mend(Call::LeaseRetries);
        bench.publisher.entered().await;
        bench.publisher.become_(Behaviour::Accept);
        bench.clock.advance(LEASE);
        bench.faults.until_ended(Call::RetriesQueued, 1).await;
    })
    .await;
    assert_eq!(bench.stands("evt_1").await, (EventState::Queued, 1));
}

#[tokio::test]
async fn stopping_finishes_the_round_in_hand() {
    let bench = Bench::new().await;
    bench.unlucky(&["evt_1"]).await;
    bench.jump_to_next_due().await;
    bench.publisher.become_(Behaviour::Gate);
    let stop = CancellationToken::new();
    let run = bench.scheduler().run(stop.clone());
    let stopping = async {
        bench.publisher.entered().await;
        stop.cancel();
        bench.publisher.open_gate();
    };
    let ended = async { tokio::join!(run, stopping) };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(bench.stands("evt_1").await, (EventState::Queued, 1));
}

/// More than one round takes, with nothing else to wake it.
#[tokio::test]
async fn what_was_put_aside_goes_back_at_a_steady_pace() {
    const PARKED: usize = 150;
    let bench = Bench::new().await;
    let ids: Vec<String> = (0..PARKED).map(|n| format!("evt_{n}")).collect();
    change_source(&bench, SourceChange::Pause).await;
    bench
        .unlucky(&ids.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    running(bench.scheduler(), async {
        bench.faults.until_ended(Call::LeaseRetries, 2).await;
        assert!(bench.published().is_empty(), "while it is paused");
        let start = Instant::now();
        change_source(&bench, SourceChange::Resume).await;
        // Of its rounds the third puts the last ones back.
        bench.faults.until_ended(Call::RetriesQueued, 3).await;
        assert!(start.elapsed() >= Duration::from_millis(450), "all at once");
        assert!(start.elapsed() < Duration::from_secs(4), "too slowly");
    })
    .await;
    let published: BTreeSet<String> = bench.published().into_iter().collect();
    assert_eq!(published.len(), PARKED, "each of them");
    for id in &ids {
        assert_eq!(bench.stands(id).await, (EventState::Queued, 0));
    }
}

async fn change_source(bench: &Bench, change: SourceChange) {
    let stripe = [key("evt_1").source];
    let action = asked(for_real());
    let changed = bench
        .store
        .change_sources(change, &stripe, &action, at(0))
        .await;
    assert_eq!(changed.unwrap().changed, 1);
}
