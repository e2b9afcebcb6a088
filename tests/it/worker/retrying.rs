//! An event that this worker cannot process yet: from the worker to the ledger, with the scheduler
//! back onto the queue, and to the worker again.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::model::changes::Outcome;
use hookmirror::model::event::{Event, EventKey};
use hookmirror::model::ledger::EventRecord;
use hookmirror::model::source::{Provider, Source, SourceName, Sources};
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use hookmirror::ops::account::account;
use hookmirror::queue::embedded::inspect;
use hookmirror::scheduler::Scheduler;

use super::{BACKOFF, Bench, checkout, fixture};

/// An event of a source that no worker knows.
fn stranger(mut event: Event) -> Event {
    event.key.source = SourceName::parse("stripe-new").unwrap();
    event
}

impl Bench {
    /// Puts what is due back onto the queue; answers how many events.
    async fn put_back(&self) -> usize {
        let scheduler = Scheduler {
            store: Arc::clone(&self.store),
            publisher: Arc::new(self.queue.publisher()),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            backoff: BACKOFF,
        };
        scheduler.round().await.unwrap().queued
    }

    /// The rolling deploy has come to this worker.
    fn learn_of_the_source(&mut self) {
        let new = Source {
            name: SourceName::parse("stripe-new").unwrap(),
            provider: Provider::Stripe,
            livemode: None,
        };
        let sources = Provider::ALL.into_iter().map(Source::from);
        let worker = self.worker.as_mut().unwrap();
        worker.sources = sources.chain([new]).collect::<Sources>();
    }

    async fn record(&self, key: &EventKey) -> EventRecord {
        self.store.find_event(key).await.unwrap().unwrap()
    }

    /// Checks promise P5 for the one event that was accepted.
    async fn is_accounted_for(&self) {
        let waiting = inspect::waiting(self.directory.path()).await.unwrap();
        let account = account(&*self.store, waiting).await.unwrap();
        assert_eq!(account.accepted, 1, "{account:?}");
    }
}

#[tokio::test]
async fn an_event_of_an_unknown_source_is_applied_once_the_source_is_known() {
    let mut bench = Bench::new().await;
    let event = stranger(checkout("evt_1"));
    let key = event.key.clone();
    bench.publish(event).await;
    bench.is_accounted_for().await;
    let applied = bench.step().await.unwrap();
    let Outcome::Retrying { kind, at } = applied[0].outcome else {
        panic!("{applied:?}");
    };
    assert_eq!(kind, "source_unknown");
    let record = bench.record(&key).await;
    assert_eq!(record.summary.state, EventState::Retrying);
    assert_eq!(record.summary.next_attempt_at, Some(at));
    assert!(record.summary.last_error.unwrap().contains("stripe-new"));
    assert_eq!(
        bench.waiting().await,
        0,
        "the queue is not what remembers it"
    );
    bench.is_accounted_for().await;

    bench.clock.set(Timestamp::from_millis(at.as_millis() - 1));
    assert_eq!(bench.put_back().await, 0);
    bench.clock.set(at);
    assert_eq!(bench.put_back().await, 1);
    assert_eq!(bench.put_back().await, 0);
    assert_eq!(bench.waiting().await, 1);
    bench.is_accounted_for().await;

    bench.learn_of_the_source();
    let applied = bench.step().await.unwrap();
    assert_eq!(applied[0].outcome, Outcome::PaymentRecorded);
    let record = bench.record(&key).await;
    assert_eq!(record.summary.state, EventState::Applied);
    assert_eq!(record.summary.attempts, 2);
    assert_eq!(record.summary.last_error, None);
    assert_eq!(record.summary.next_attempt_at, None);
    let attempts: Vec<_> = record
        .attempts
        .iter()
        .map(|attempt| (attempt.attempt, attempt.trigger.as_str(), attempt.state))
        .collect();
    let expected = [
        (1, "webhook", EventState::Retrying),
        (2, "retry", EventState::Applied),
    ];
    assert_eq!(attempts, expected);
    assert!(record.attempts[0].error.is_some());
    assert_eq!(record.attempts[1].error, None);
    bench.is_accounted_for().await;
}

#[tokio::test]
async fn after_the_last_attempt_it_has_failed_and_a_later_delivery_is_processed() {
    let mut bench = Bench::new().await;
    let event = stranger(checkout("evt_1"));
    let key = event.key.clone();
    bench.publish(event.clone()).await;
    let mut times = Vec::new();
    loop {
        times.push(bench.clock.now());
        let applied = bench.step().await.unwrap();
        let Some(at) = applied[0].outcome.next_attempt_at() else {
            assert_eq!(applied[0].outcome, Outcome::Failed("source_unknown"));
            break;
        };
        bench.clock.set(at);
        assert_eq!(bench.put_back().await, 1);
    }
    assert_eq!(times.len(), 10);
    let whole = times[9].since(times[0]);
    let hours = Duration::from_secs(18 * 3600)..Duration::from_secs(23 * 3600);
    assert!(hours.contains(&whole), "{whole:?}");
    let record = bench.record(&key).await;
    assert_eq!(record.summary.state, EventState::Failed);
    assert_eq!(record.summary.next_attempt_at, None);
    assert_eq!(record.attempts.len(), 10);
    assert!(record.payload.is_some(), "kept, to be replayed");
    assert_eq!(bench.store.next_retry_due().await.unwrap(), None);
    bench.is_accounted_for().await;

    bench.learn_of_the_source();
    bench.publish(event).await;
    bench.step().await.unwrap();
    assert_eq!(bench.record(&key).await.summary.state, EventState::Applied);
}

#[tokio::test]
async fn it_holds_up_no_neighbour_in_its_batch() {
    let mut bench = Bench::new().await;
    bench.publish(stranger(checkout("evt_1"))).await;
    bench.publish(checkout("evt_1")).await;
    let applied = bench.step().await.unwrap();
    assert_eq!(applied[0].state, EventState::Retrying);
    assert_eq!(applied[1].outcome, Outcome::PaymentRecorded);
    assert_eq!(bench.waiting().await, 0);
}

/// What carries one-time codes is not kept, so there is nothing to try again with.
#[tokio::test]
async fn an_event_whose_body_must_not_be_kept_fails_at_once() {
    let mut bench = Bench::new().await;
    let event = stranger(fixture(Provider::Clerk, "email.created", "msg_1"));
    let key = event.key.clone();
    bench.publish(event).await;
    let applied = bench.step().await.unwrap();
    assert_eq!(applied[0].outcome, Outcome::Failed("source_unknown"));
    assert_eq!(bench.record(&key).await.payload, None);
}
