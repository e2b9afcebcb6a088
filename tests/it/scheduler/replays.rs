//! The replayer, between a real database and a queue that does as it is told.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::clock::{Clock, SystemClock};
use hookmirror::model::event::Trigger;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{Operator, Reason};
use hookmirror::model::replay::{
    ReplayId, ReplayOrder, ReplayRate, ReplayScope, ReplayState, ReplayStep,
};
use hookmirror::queue::Publisher;
use hookmirror::scheduler::{Replayer, SchedulerError, Step};
use hookmirror::store::{Replays, Store};
use tokio_util::sync::CancellationToken;

use super::{BACKOFF, Bench, LEASE};
use crate::support::faults::{Call, When};
use crate::support::given::{at, ignore, replayed};
use crate::support::publisher::Behaviour;

const PATIENCE: Duration = Duration::from_secs(20);

impl Bench {
    fn replayer(&self) -> Replayer {
        Replayer {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            publisher: Arc::clone(&self.publisher) as Arc<dyn Publisher>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            backoff: BACKOFF,
        }
    }

    /// Starts a replay of these events, which are there.
    async fn replay(&self, ids: &[&str]) -> ReplayId {
        let batch: Vec<_> = ids.iter().map(|id| ignore(id, "a.type")).collect();
        self.store.apply(&batch, at(0)).await.unwrap();
        let order = ReplayOrder {
            scope: ReplayScope {
                filter: EventFilter::default(),
                limit: None,
            },
            rate: ReplayRate::DEFAULT,
            operator: Operator::unknown(),
        };
        let reason = Reason::parse("a test").unwrap();
        let now = self.clock.now();
        let started = self.store.start_replay(&order, &reason, now).await.unwrap();
        self.clock.advance(Duration::from_secs(1));
        started.id.unwrap()
    }

    async fn step(&self) -> Result<Step, SchedulerError> {
        self.replayer().step().await
    }

    async fn steps_of(&self, id: ReplayId) -> Vec<ReplayStep> {
        let events = self.store.replayed_events(id, 0, 1000).await.unwrap();
        events.iter().map(|event| event.step).collect()
    }

    /// A worker processes what was published, as often as that was.
    async fn process_all(&self, id: ReplayId) {
        for event in self.publisher.events() {
            assert_eq!(event.trigger, Trigger::Replay(id));
            let planned = replayed(id, ignore(event.key.id.as_str(), "a.type"));
            assert_eq!(planned.event, event, "as it came");
            self.store
                .apply(&[planned], self.clock.now())
                .await
                .unwrap();
        }
    }

    async fn must_be_done_once(&self, id: ReplayId, events: u64) {
        self.process_all(id).await;
        self.step().await.unwrap();
        let replay = self.store.find_replay(id).await.unwrap().unwrap().replay;
        assert_eq!((replay.state, replay.done), (ReplayState::Done, events));
        for event in self.publisher.events() {
            let record = self.store.find_event(&event.key).await.unwrap().unwrap();
            assert_eq!(record.summary.attempts, 2, "one of them the replay's");
        }
    }
}

#[tokio::test]
async fn what_is_replayed_is_published_and_recorded() {
    let bench = Bench::new().await;
    assert_eq!(bench.step().await.unwrap(), Step::default());
    let id = bench.replay(&["evt_1", "evt_2"]).await;
    let step = bench.step().await.unwrap();
    assert_eq!((step.queued, step.running), (2, true));
    assert_eq!(bench.steps_of(id).await, [ReplayStep::Queued; 2]);
    assert_eq!(bench.step().await.unwrap().queued, 0);
    bench.must_be_done_once(id, 2).await;
    assert_eq!(bench.published().len(), 2);
    assert_eq!(bench.step().await.unwrap(), Step::default());
}

#[tokio::test]
async fn a_crash_before_the_record_publishes_again_and_has_one_effect() {
    let bench = Bench::new().await;
    let id = bench.replay(&["evt_1"]).await;
    bench.publisher.become_(Behaviour::Gate);
    tokio::select! {
        step = bench.step() => panic!("{step:?}"),
        () = bench.publisher.entered() => {}
    }
    bench.publisher.become_(Behaviour::Accept);
    bench.clock.advance(LEASE - Duration::from_millis(1));
    assert_eq!(bench.step().await.unwrap().queued, 0, "the lease holds");
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.step().await.unwrap().queued, 1);
    assert_eq!(bench.published().len(), 2);
    bench.must_be_done_once(id, 1).await;
}

#[tokio::test]
async fn whatever_call_is_lost_every_event_is_processed_once() {
    for call in [Call::LeaseReplays, Call::ReplaysQueued] {
        for when in [When::Before, When::After] {
            let bench = Bench::new().await;
            let id = bench.replay(&["evt_1", "evt_2", "evt_3"]).await;
            bench.faults.fail_nth(1, call, when);
            let error = bench.step().await.unwrap_err();
            assert!(matches!(error, SchedulerError::Store(_)), "{error:?}");
            bench.clock.advance(LEASE);
            bench.step().await.unwrap();
            bench.must_be_done_once(id, 3).await;
        }
    }
}

#[tokio::test]
async fn a_queue_that_is_away_loses_nothing() {
    let bench = Bench::new().await;
    let id = bench.replay(&["evt_1", "evt_2"]).await;
    bench.publisher.become_(Behaviour::Fail);
    for _ in 0..5 {
        let error = bench.step().await.unwrap_err();
        assert!(matches!(error, SchedulerError::Queue(_)), "{error:?}");
        bench.clock.advance(LEASE);
    }
    assert_eq!(bench.steps_of(id).await, [ReplayStep::Pending; 2]);
    bench.publisher.become_(Behaviour::Accept);
    assert_eq!(bench.step().await.unwrap().queued, 2);
    bench.must_be_done_once(id, 2).await;
}

/// Its own loop, in real time.
#[tokio::test]
async fn it_begins_within_about_a_second_and_keeps_its_pace() {
    let bench = Bench::new().await;
    let replayer = Replayer {
        clock: Arc::new(SystemClock),
        ..bench.replayer()
    };
    let stop = CancellationToken::new();
    let run = tokio::spawn(replayer.run(stop.clone()));
    bench.clock.set(SystemClock.now());
    let names: Vec<String> = (0..60).map(|number| format!("evt_{number}")).collect();
    let ids: Vec<&str> = names.iter().map(String::as_str).collect();
    let begun = std::time::Instant::now();
    bench.replay(&ids).await;
    let all = async {
        bench.publisher.entered().await;
        let first = begun.elapsed();
        for _ in 1..ids.len() {
            bench.publisher.entered().await;
        }
        first
    };
    let first = tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert!(first < Duration::from_secs(5), "{first:?}");
    // 60 events at 50 a second.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(850), "{took:?}");
    stop.cancel();
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
}
