//! A key that Clerk does not accept for a while.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::config::Config;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::outbox::RequestOutcome;
use hookmirror::store::Store;
use hookmirror::telemetry;

use super::{BACKOFF, Bench};
use crate::support::clerk::Answer;
use crate::support::given::{record, session_of, user_id};

/// The longest that a key may stay refused after it is accepted again.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// How many lines have both of these.
    fn lines(&self, level: &str, text: &str) -> usize {
        let bytes = self.0.lock().unwrap().clone();
        let log = String::from_utf8(bytes).unwrap();
        log.lines()
            .filter(|line| line.contains(level) && line.contains(text))
            .count()
    }
}

/// Drives rounds for so long.
async fn go_on(bench: &Bench, time: Duration) {
    let end = bench.clock.now().plus(time);
    while bench.clock.now() < end {
        let round = bench.round().await;
        let wait = match round.pause {
            Some(pause) => pause,
            None if round.leased > 0 => Duration::ZERO,
            None => Duration::from_secs(1),
        };
        bench.clock.advance(wait.min(end.since(bench.clock.now())));
    }
}

async fn paid(bench: &Bench, from: usize, to: usize) {
    let batch: Vec<_> = (from..to)
        .map(|number| {
            let session = session_of(&format!("cs_{number}"), &format!("user_{number}"));
            record(&format!("evt_{number}"), session)
        })
        .collect();
    bench.store.apply(&batch, bench.clock.now()).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_loses_nothing_and_raises_one_alarm() {
    let log = Captured::default();
    let writer = log.clone();
    let settings = Config::load([]).unwrap().log;
    let subscriber = telemetry::subscriber(&settings, move || writer.clone(), false);
    let _logging = tracing::subscriber::set_default(subscriber);
    // With only one, a line that a test on another thread passes first would be off for good.
    let _another = tracing::Dispatch::new(telemetry::subscriber(&settings, io::sink, false));

    let bench = Bench::new().await;
    let stats = bench.dispatcher.stats();
    paid(&bench, 0, 20).await;
    go_on(&bench, Duration::from_secs(1)).await;
    assert_eq!(stats.requests(RequestOutcome::Delivered), 20);

    bench.clerk.revoke_key(true);
    let revoked_at = bench.clock.now();
    paid(&bench, 20, 60).await;
    assert_eq!(bench.round().await.leased, 40);
    assert_eq!(bench.clerk.calls().len(), 21, "stops at the first refusal");
    paid(&bench, 60, 80).await;
    go_on(&bench, Duration::from_secs(3600)).await;

    assert_eq!(stats.requests(RequestOutcome::Delivered), 20);
    assert_eq!(stats.key_refused_since(), Some(revoked_at));
    let refusals = stats.requests(RequestOutcome::KeyRefused);
    assert!((60..=130).contains(&refusals), "{refusals} in an hour");
    for number in 20..80 {
        let entry = bench.entry(&format!("user_{number}")).await;
        assert_eq!(entry.state, DeliveryState::Pending);
        assert_eq!(entry.failures, 0);
    }

    bench.clerk.revoke_key(false);
    go_on(&bench, LONGEST + Duration::from_secs(1)).await;
    for number in 0..80 {
        let user = format!("user_{number}");
        assert_eq!(bench.state(&user).await, DeliveryState::Delivered);
        assert_eq!(bench.stripe(&user_id(&user))["paid"], true);
    }
    assert_eq!(stats.key_refused_since(), None);
    assert_eq!(stats.requests(RequestOutcome::Delivered), 80);
    assert_eq!(stats.key_alarms(), 1);
    assert_eq!(log.lines("ERROR", ""), 1);
    assert_eq!(log.lines("ERROR", "CLERK_SECRET_KEY"), 1);
    assert_eq!(log.lines("INFO", "accepts CLERK_SECRET_KEY again"), 1);

    // The next time is an alarm of its own.
    bench.clerk.revoke_key(true);
    paid(&bench, 80, 81).await;
    bench.round().await;
    assert_eq!(stats.key_alarms(), 2);
    assert_eq!(log.lines("ERROR", "CLERK_SECRET_KEY"), 2);
}

#[tokio::test]
async fn a_forbidden_key_is_a_refused_one() {
    let bench = Bench::new().await;
    bench.paid(&["user_a", "user_b"]).await;
    bench.clerk.answer_everyone(Some(Answer::Status(403)));
    let first = bench.round().await;
    assert!(first.pause.is_some_and(|pause| pause >= BACKOFF.first));
    assert_eq!(bench.clerk.calls().len(), 1);
    // Each try is of one entry.
    bench.clock.advance(first.pause.unwrap());
    assert_eq!(bench.round().await.leased, 1);
    assert_eq!(bench.clerk.calls().len(), 2);
    bench.clerk.answer_everyone(None);
    go_on(&bench, LONGEST + Duration::from_secs(1)).await;
    assert!(bench.store.undelivered(1).await.unwrap().is_empty());
}

/// Whatever is answered to a try besides a success, the next try comes soon, and of another entry.
#[tokio::test]
async fn a_try_that_tells_nothing_is_made_again() {
    let bench = Bench::new().await;
    let users = ["user_a", "user_b", "user_c", "user_d"];
    bench.paid(&users).await;
    bench.clerk.revoke_key(true);
    bench.round().await;
    bench.clerk.revoke_key(false);
    for (user, status) in [("user_b", 404), ("user_c", 500), ("user_d", 422)] {
        bench.clerk.answer(&user_id(user), Answer::Status(status));
    }
    let stats = bench.dispatcher.stats();
    for tries in 1..=3 {
        let pause = bench.round().await.pause.unwrap();
        bench.clock.advance(pause);
        assert!(pause <= 2 * BACKOFF.first, "{pause:?}");
        assert!(stats.key_refused_since().is_some(), "{tries}");
        assert!(bench.round().await.leased <= 1);
    }
    go_on(&bench, LONGEST).await;
    assert_eq!(stats.key_refused_since(), None);
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
    assert_eq!(bench.state("user_c").await, DeliveryState::Delivered);
}

/// A write that was on its way when the key was refused proves nothing about it.
#[tokio::test]
async fn a_late_success_does_not_open_the_gate() {
    let bench = Bench::new().await;
    bench.paid(&["user_a", "user_b"]).await;
    bench.clerk.answer(&user_id("user_a"), Answer::Released);
    bench.clerk.answer(&user_id("user_b"), Answer::Status(401));
    let late = async {
        bench.clerk.called().await;
        bench.clerk.called().await;
        bench.clerk.release(1);
    };
    tokio::join!(bench.round(), late);
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
    assert!(bench.dispatcher.stats().key_refused_since().is_some());
}
