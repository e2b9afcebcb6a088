//! The dispatcher's own loop. What it waits for is real time here, as the database's threads know no
//! other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmirror::backoff::Backoff;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::outbox::WriteLimits;
use hookmirror::store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{BACKOFF, Bench, NO_LIMITS};
use crate::support::clerk::Answer;
use crate::support::clock::RunningClock;
use crate::support::faults::{Call, When};
use crate::support::given::{at, user_id};

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a dispatcher while the test goes on, and checks that it ends when told to.
async fn running(bench: &Bench, test: impl AsyncFnOnce(&Notify)) {
    let backoff = Backoff {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(10),
        ..BACKOFF
    };
    let bell = Arc::new(Notify::new());
    let stop = CancellationToken::new();
    let clock = RunningClock::new(at(1));
    let run = bench
        .on_clock(Arc::new(clock), backoff, NO_LIMITS)
        .run(Arc::clone(&bell), stop.clone());
    let run = tokio::spawn(run);
    tokio::time::timeout(PATIENCE, test(&bell)).await.unwrap();
    stop.cancel();
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
}

async fn delivered(bench: &Bench, user: &str, settled: u64) {
    bench.faults.until_ended(Call::Settle, settled).await;
    assert_eq!(bench.state(user).await, DeliveryState::Delivered);
}

/// An idle dispatcher looks about once a second by itself, so that seven users take six seconds if
/// nobody wakes it.
#[tokio::test]
async fn the_bell_wakes_it() {
    let bench = Bench::new().await;
    running(&bench, async |bell| {
        let start = Instant::now();
        for number in 1..=7 {
            let user = format!("user_{number}");
            bench.paid(&[&user]).await;
            bell.notify_one();
            delivered(&bench, &user, number).await;
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn it_finds_what_is_due_without_a_bell() {
    let bench = Bench::new().await;
    running(&bench, async |_| {
        bench.faults.until_ended(Call::Lease, 1).await;
        bench.paid(&["user_a"]).await;
        delivered(&bench, "user_a", 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_pause_is_kept_whoever_rings() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    let pause = Duration::from_secs(1);
    let throttled = Answer::Throttled(Some(pause));
    bench.clerk.answer(&user_id("user_a"), throttled);
    running(&bench, async |bell| {
        bench.clerk.called().await;
        let start = Instant::now();
        bench.paid(&["user_b"]).await;
        bell.notify_one();
        bench.clerk.called().await;
        let waited = start.elapsed();
        assert!(waited > pause.mul_f32(0.9), "called after {waited:?}");
    })
    .await;
}

#[tokio::test]
async fn it_outlives_a_database_that_is_away() {
    let bench = Bench::new().await;
    bench.faults.break_down(Call::Lease, When::Before);
    running(&bench, async |_| {
        bench.paid(&["user_a"]).await;
        bench.faults.until_ended(Call::Lease, 5).await;
        bench.faults.mend(Call::Lease);
        delivered(&bench, "user_a", 1).await;
        assert!(bench.store.undelivered(1).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn stopping_finishes_the_round_in_hand() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    bench.clerk.answer(&user_id("user_a"), Answer::Released);
    let stop = CancellationToken::new();
    let run = bench
        .another(BACKOFF, NO_LIMITS)
        .run(Arc::default(), stop.clone());
    let stopping = async {
        bench.clerk.called().await;
        stop.cancel();
        bench.clerk.release(1);
    };
    let ended = async { tokio::join!(run, stopping) };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
}

/// With a Clerk that takes long, all that is due would outlast any deadline. The budget is for eight
/// calls, and the clock stands still.
#[tokio::test]
async fn stopping_begins_no_further_call() {
    let bench = Bench::new().await;
    let users: Vec<String> = (0..20).map(|number| format!("user_{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    bench.paid(&users).await;
    bench.clerk.answer_everyone(Some(Answer::Released));
    let stop = CancellationToken::new();
    let limits = WriteLimits {
        per_instance: 400,
        ..NO_LIMITS
    };
    let run = bench
        .another(BACKOFF, limits)
        .run(Arc::default(), stop.clone());
    let stopping = async {
        for _ in 0..8 {
            bench.clerk.called().await;
        }
        stop.cancel();
        bench.clerk.release(users.len());
    };
    let ended = async { tokio::join!(run, stopping) };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(bench.clerk.calls().len(), 8);

    // The others are due, for whoever comes next: no lease holds them.
    bench.clerk.answer_everyone(None);
    assert_eq!(bench.round().await.leased, 12);
    for user in &users {
        assert_eq!(bench.state(user).await, DeliveryState::Delivered);
    }
}
