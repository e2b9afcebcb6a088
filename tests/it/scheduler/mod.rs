//! The scheduler, with a real database, a queue that does as it is told, and a clock that is set by
//! hand.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::model::changes::{Decision, Planned};
use hookmirror::model::event::{Event, Trigger};
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use hookmirror::queue::{Confirmed, PublishError, Publisher, Readiness};
use hookmirror::scheduler::{Round, Scheduler, SchedulerError};
use hookmirror::store::Store;

use crate::support::clock::ManualClock;
use crate::support::database::{self, Database};
use crate::support::faults::{Call, Faults, FaultyStore, When};
use crate::support::given::{at, event, failing, ignore, key};
use crate::support::publisher::{Behaviour, RecordingPublisher};

mod replays;
mod running;

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(10),
    seed: 7,
};
/// As long as a lease lasts.
const LEASE: Duration = Duration::from_secs(30);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A scheduler and all that it works with.
struct Bench {
    publisher: Arc<RecordingPublisher>,
    clock: Arc<ManualClock>,
    faults: Arc<Faults>,
    store: Arc<FaultyStore>,
    _database: Database,
}

impl Bench {
    async fn new() -> Self {
        let database = database::sqlite().await;
        let faults = Faults::new();
        Self {
            publisher: Arc::new(RecordingPublisher::new(Behaviour::Accept)),
            clock: Arc::new(ManualClock::new(at(0))),
            store: Arc::new(FaultyStore {
                inner: Arc::clone(&database.store),
                faults: Arc::clone(&faults),
            }),
            faults,
            _database: database,
        }
    }

    fn scheduler(&self) -> Scheduler {
        self.scheduler_to(Arc::clone(&self.publisher) as Arc<dyn Publisher>)
    }

    fn scheduler_to(&self, publisher: Arc<dyn Publisher>) -> Scheduler {
        Scheduler {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            publisher,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            backoff: BACKOFF,
        }
    }

    /// Lets these events fail now in a way that may pass.
    async fn unlucky(&self, ids: &[&str]) {
        let batch: Vec<Planned> = ids.iter().map(|id| unlucky(id)).collect();
        self.store.apply(&batch, self.clock.now()).await.unwrap();
    }

    async fn round(&self) -> Result<Round, SchedulerError> {
        self.scheduler().round().await
    }

    /// How many events a round puts back.
    async fn queued(&self) -> usize {
        self.round().await.unwrap().queued
    }

    async fn next_due(&self) -> Option<Timestamp> {
        self.store.next_retry_due().await.unwrap()
    }

    /// Moves the clock to where the next attempt falls due.
    async fn jump_to_next_due(&self) {
        self.clock.set(self.next_due().await.unwrap());
    }

    /// State and number of attempts.
    async fn stands(&self, id: &str) -> (EventState, u32) {
        let record = self.store.find_event(&key(id)).await.unwrap().unwrap();
        (record.summary.state, record.summary.attempts)
    }

    /// Which events it was given, in that order.
    fn published(&self) -> Vec<String> {
        let events = self.publisher.events();
        events.iter().map(|event| event.key.to_string()).collect()
    }
}

fn unlucky(id: &str) -> Planned {
    let planned = failing(id, "a.type", "a place");
    let Decision::Fail(failure) = planned.decision else {
        panic!("`failing` does not fail: {planned:?}");
    };
    Planned {
        decision: Decision::Retry(failure),
        ..planned
    }
}

#[tokio::test]
async fn an_event_goes_back_exactly_when_due_as_it_came_and_once() {
    let bench = Bench::new().await;
    assert_eq!(bench.queued().await, 0);
    bench.unlucky(&["evt_1"]).await;
    let due = bench.next_due().await.unwrap();
    assert!(due > bench.clock.now());

    bench.clock.set(Timestamp::from_millis(due.as_millis() - 1));
    assert_eq!(bench.queued().await, 0, "a millisecond early");
    bench.clock.advance(MILLISECOND);
    assert_eq!(bench.queued().await, 1);
    let came = Event {
        trigger: Trigger::Retry,
        ..event("evt_1", "a.type")
    };
    assert_eq!(bench.publisher.events(), [came]);
    assert_eq!(bench.stands("evt_1").await, (EventState::Queued, 1));

    bench.clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(bench.queued().await, 0);
    assert_eq!(bench.next_due().await, None);
    assert_eq!(bench.published().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_schedulers_one_puts_an_event_back() {
    let bench = Bench::new().await;
    let ids: Vec<String> = (0..300).map(|number| format!("evt_{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    bench.unlucky(&ids).await;
    bench.clock.advance(Duration::from_secs(60));
    let schedulers = (0..3).map(|_| {
        let scheduler = bench.scheduler();
        tokio::spawn(async move {
            let mut queued = 0;
            loop {
                match scheduler.round().await.unwrap().queued {
                    0 => return queued,
                    more => queued += more,
                }
            }
        })
    });
    let queued = futures_util::future::join_all(schedulers).await;
    let queued: usize = queued.into_iter().map(Result::unwrap).sum();
    assert_eq!(queued, ids.len());
    let mut published = bench.published();
    assert_eq!(published.len(), ids.len());
    published.sort();
    published.dedup();
    assert_eq!(published.len(), ids.len(), "none of them twice");
    for id in ids {
        assert_eq!(bench.stands(id).await, (EventState::Queued, 1));
    }
}

#[tokio::test]
async fn a_crash_before_the_record_publishes_again_after_the_lease() {
    let bench = Bench::new().await;
    bench.unlucky(&["evt_1"]).await;
    bench.jump_to_next_due().await;
    bench.publisher.become_(Behaviour::Gate);
    tokio::select! {
        round = bench.round() => panic!("{round:?}"),
        () = bench.publisher.entered() => {}
    }
    // The queue has it, and nobody here knows.
    assert_eq!(bench.stands("evt_1").await, (EventState::Retrying, 1));
    bench.publisher.become_(Behaviour::Accept);
    bench.clock.advance(LEASE - MILLISECOND);
    assert_eq!(bench.queued().await, 0, "the lease still holds");
    bench.clock.advance(MILLISECOND);
    assert_eq!(bench.queued().await, 1);
    assert_eq!(bench.published().len(), 2);
    assert_eq!(bench.stands("evt_1").await, (EventState::Queued, 1));
}

#[tokio::test]
async fn a_record_that_is_not_known_to_be_made_is_made_in_the_end() {
    for (when, published) in [(When::Before, 2), (When::After, 1)] {
        let bench = Bench::new().await;
        bench.unlucky(&["evt_1"]).await;
        bench.jump_to_next_due().await;
        bench.faults.fail_nth(1, Call::RetriesQueued, when);
        let error = bench.round().await.unwrap_err();
        assert!(matches!(error, SchedulerError::Store(_)), "{error:?}");
        bench.clock.advance(LEASE);
        bench.round().await.unwrap();
        assert_eq!(bench.published().len(), published, "{when:?}");
        assert_eq!(bench.stands("evt_1").await, (EventState::Queued, 1));
    }
}

/// A worker may be faster than the record of what it works on.
#[tokio::test]
async fn what_was_processed_meanwhile_is_not_said_to_be_queued() {
    for (processed, state) in [
        (ignore("evt_1", "a.type"), EventState::Ignored),
        (unlucky("evt_1"), EventState::Retrying),
    ] {
        let bench = Bench::new().await;
        bench.unlucky(&["evt_1"]).await;
        bench.jump_to_next_due().await;
        bench.publisher.become_(Behaviour::Gate);
        let processing = async {
            bench.publisher.entered().await;
            let now = bench.clock.now();
            bench.store.apply(&[processed], now).await.unwrap();
            bench.publisher.open_gate();
        };
        let (round, ()) = tokio::join!(bench.round(), processing);
        round.unwrap();
        assert_eq!(bench.stands("evt_1").await, (state, 2));
        let planned = bench.next_due().await.is_some();
        assert_eq!(planned, state == EventState::Retrying);
    }
}

#[tokio::test]
async fn a_queue_that_is_away_charges_nobody() {
    let bench = Bench::new().await;
    bench.unlucky(&["evt_1", "evt_2"]).await;
    bench.clock.advance(Duration::from_secs(60));
    bench.publisher.become_(Behaviour::Fail);
    for _ in 0..20 {
        let error = bench.round().await.unwrap_err();
        assert!(matches!(error, SchedulerError::Queue(_)), "{error:?}");
        bench.clock.advance(LEASE);
    }
    for event in ["evt_1", "evt_2"] {
        assert_eq!(bench.stands(event).await, (EventState::Retrying, 1));
    }
    bench.publisher.become_(Behaviour::Accept);
    assert_eq!(bench.queued().await, 2);
}

#[tokio::test]
async fn a_queue_that_says_nothing_holds_nobody_for_ever() {
    let bench = Bench::new().await;
    bench.unlucky(&["evt_1"]).await;
    bench.jump_to_next_due().await;
    bench.publisher.become_(Behaviour::Hang);
    let round = tokio::time::timeout(LEASE, bench.round()).await.unwrap();
    let error = round.unwrap_err();
    assert!(matches!(error, SchedulerError::Unconfirmed), "{error:?}");
    assert_eq!(bench.stands("evt_1").await, (EventState::Retrying, 1));
}

/// Confirms all but one.
#[derive(Debug)]
struct AllBut(&'static str);

#[async_trait::async_trait]
impl Publisher for AllBut {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        if event.key == key(self.0) {
            return Err(PublishError("not this one".into()));
        }
        Ok(Confirmed::by_stable_storage())
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        Ok(Readiness::Ready)
    }
}

#[tokio::test]
async fn what_was_confirmed_is_recorded_though_a_neighbour_was_not() {
    let bench = Bench::new().await;
    bench.unlucky(&["evt_1", "evt_2", "evt_3"]).await;
    bench.clock.advance(Duration::from_secs(60));
    let scheduler = bench.scheduler_to(Arc::new(AllBut("evt_2")));
    let error = scheduler.round().await.unwrap_err();
    assert!(matches!(error, SchedulerError::Queue(_)), "{error:?}");
    assert_eq!(bench.stands("evt_1").await.0, EventState::Queued);
    assert_eq!(bench.stands("evt_2").await.0, EventState::Retrying);
    assert_eq!(bench.stands("evt_3").await.0, EventState::Queued);
    assert_eq!(bench.next_due().await, Some(bench.clock.now().plus(LEASE)));
}

#[tokio::test]
async fn a_database_that_is_away_publishes_nothing() {
    let bench = Bench::new().await;
    bench.unlucky(&["evt_1"]).await;
    bench.jump_to_next_due().await;
    bench.faults.fail_nth(1, Call::LeaseRetries, When::Before);
    let error = bench.round().await.unwrap_err();
    assert!(matches!(error, SchedulerError::Store(_)), "{error:?}");
    assert!(bench.published().is_empty());
    assert_eq!(bench.queued().await, 1);
}
