//! The worker between a real queue and a real database, each of which can be made to fail.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::changes::{Applied, Outcome};
use hookmirror::model::event::Event;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::source::{Provider, Sources};
use hookmirror::model::state::EventState;
use hookmirror::ops::account::account;
use hookmirror::queue::Publisher;
use hookmirror::queue::embedded::{EmbeddedQueue, inspect};
use hookmirror::store::Store;
use hookmirror::traces::Traces;
use hookmirror::worker::{Patience, WorkError, Worker};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{self, USER};
use crate::support::clock::ManualClock;
use crate::support::database::{self, Database};
use crate::support::directory::directory;
use crate::support::faults::{Call, Faults, FaultyConsumer, FaultyStore, When};
use crate::support::given::{self, at, key, user_id};

mod abort;
mod away;
mod dead_letters;
mod livemode;
mod retrying;

const PATIENCE: Duration = Duration::from_secs(20);
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(5),
    seed: 7,
};
/// Keeps a batch in hand for as long as it takes.
const PATIENT: Patience = Patience {
    backoff: BACKOFF,
    hold: Duration::from_secs(3600),
};

struct Bench {
    queue: EmbeddedQueue,
    directory: TempDir,
    store: Arc<dyn Store>,
    faults: Arc<Faults>,
    clock: Arc<ManualClock>,
    bell: Arc<Notify>,
    /// `None` while it runs by itself.
    worker: Option<Worker>,
    _database: Database,
}

impl Bench {
    async fn new() -> Self {
        let directory = directory();
        let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
        let database = database::sqlite().await;
        let store = Arc::clone(&database.store);
        let faults = Faults::new();
        let clock = Arc::new(ManualClock::new(at(0)));
        let bell = Arc::new(Notify::new());
        let worker = worker(&queue, &store, &faults, &clock, &bell);
        Self {
            queue,
            directory,
            store,
            faults,
            clock,
            bell,
            worker: Some(worker),
            _database: database,
        }
    }

    async fn publish(&self, event: Event) {
        let _ = self.queue.publisher().publish(event).await.unwrap();
    }

    async fn waiting(&self) -> u64 {
        let waiting = inspect::waiting(self.directory.path()).await.unwrap();
        waiting.messages
    }

    /// Takes what is ready and processes it.
    async fn step(&mut self) -> Result<Vec<Applied>, WorkError> {
        self.step_until(&CancellationToken::new()).await
    }

    async fn step_until(&mut self, stop: &CancellationToken) -> Result<Vec<Applied>, WorkError> {
        let worker = self.worker.as_mut().unwrap();
        let batch = worker.take().await?;
        worker.process(batch, stop).await
    }

    /// The same, where the database goes away and the worker is told to stop while it waits.
    async fn step_into_an_outage(&mut self, when: When) -> WorkError {
        let faults = Arc::clone(&self.faults);
        faults.fail_nth(1, Call::Apply, when);
        faults.break_down(Call::Ping, When::Before);
        let probed = faults.ended(Call::Ping) + 1;
        let stop = CancellationToken::new();
        let stopping = async {
            faults.until_ended(Call::Ping, probed).await;
            stop.cancel();
        };
        let (result, ()) = tokio::join!(self.step_until(&stop), stopping);
        faults.mend(Call::Ping);
        result.unwrap_err()
    }

    /// Lets the worker run by itself until the test is over, and checks that it ends then.
    async fn running(&mut self, test: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let worker = self.worker.take().unwrap();
        let run = tokio::spawn(worker.run(stop.clone()));
        tokio::time::timeout(PATIENCE, test).await.unwrap();
        stop.cancel();
        tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
    }

    /// State, deliveries and attempts of an event.
    async fn account(&self, event: &str) -> Option<(EventState, u64, u32)> {
        let record = self.store.find_event(&key(event)).await.unwrap()?;
        let summary = record.summary;
        Some((summary.state, summary.deliveries, summary.attempts))
    }

    fn bell_was_rung(&self) -> bool {
        self.bell.notified().now_or_never().is_some()
    }
}

fn worker(
    queue: &EmbeddedQueue,
    store: &Arc<dyn Store>,
    faults: &Arc<Faults>,
    clock: &Arc<ManualClock>,
    bell: &Arc<Notify>,
) -> Worker {
    Worker {
        consumer: Box::new(FaultyConsumer {
            inner: Box::new(queue.consumer()),
            faults: Arc::clone(faults),
        }),
        store: Arc::new(FaultyStore {
            inner: Arc::clone(store),
            faults: Arc::clone(faults),
        }),
        sources: Sources::default(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        outbox_bells: vec![Arc::clone(bell)],
        patience: PATIENT,
        traces: Traces::default(),
        metrics: WorkerMetrics::default(),
    }
}

/// An event with the body of a fixture.
fn fixture(provider: Provider, event_type: &str, id: &str) -> Event {
    let body = fixtures::bytes(provider.as_str(), event_type);
    let mut event = fixtures::event(provider, event_type, body);
    event.key.id = key(id).id;
    event
}

fn user_updated(id: &str) -> Event {
    fixture(Provider::Clerk, "user.updated", id)
}

fn checkout(id: &str) -> Event {
    fixture(Provider::Stripe, "checkout.session.completed", id)
}

#[tokio::test]
async fn a_batch_is_applied_and_then_acknowledged() {
    let mut bench = Bench::new().await;
    bench.publish(user_updated("msg_1")).await;
    bench.publish(checkout("evt_1")).await;
    bench.publish(checkout("evt_1")).await;
    let outcomes: Vec<Outcome> = bench
        .step()
        .await
        .unwrap()
        .iter()
        .map(|applied| applied.outcome)
        .collect();
    let expected = [
        Outcome::UserMirrored,
        Outcome::PaymentRecorded,
        Outcome::Duplicate,
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(bench.waiting().await, 0);
    assert!(bench.bell_was_rung());
    let found = bench
        .store
        .find_user(&user_id(USER))
        .await
        .unwrap()
        .unwrap();
    assert!(found.user.is_some());
    assert!(found.entitlement.is_some());
}

#[tokio::test]
async fn the_bell_is_not_rung_for_nothing() {
    let mut bench = Bench::new().await;
    bench
        .publish(fixture(Provider::Stripe, "customer.deleted", "evt_1"))
        .await;
    bench.step().await.unwrap();
    assert!(!bench.bell_was_rung());
}

#[tokio::test]
async fn a_body_that_cannot_be_read_fails_alone() {
    let mut bench = Bench::new().await;
    let mut broken = user_updated("msg_1");
    broken.body = "not even JSON".into();
    bench.publish(broken).await;
    bench.publish(user_updated("msg_2")).await;
    bench.step().await.unwrap();
    let failed = Some((EventState::Failed, 1, 1));
    assert_eq!(bench.account("msg_1").await, failed);
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_2").await, applied);
}

/// Queue and ledger are read while events move from one to the other.
#[tokio::test]
async fn the_account_is_exact_while_events_are_worked() {
    const EVENTS: u32 = 3000;
    let mut bench = Bench::new().await;
    let publishing = (0..EVENTS).map(|number| {
        let event = given::event(&format!("evt_{number}"), "a.type");
        bench.publish(event)
    });
    futures_util::future::join_all(publishing).await;
    let (store, data_dir) = (Arc::clone(&bench.store), bench.directory.path().to_owned());
    bench
        .running(async {
            loop {
                let waiting = inspect::waiting(&data_dir).await.unwrap();
                let account = account(&*store, waiting).await.unwrap();
                assert_eq!(account.accepted, u64::from(EVENTS), "{account:?}");
                if account.queue.messages == 0 {
                    break;
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_share_the_work_and_an_outage() {
    const EVENTS: u32 = 2000;
    let mut bench = Bench::new().await;
    let publishing = (0..EVENTS).map(|number| {
        let event = given::event(&format!("evt_{number}"), "a.type");
        bench.publish(event)
    });
    futures_util::future::join_all(publishing).await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Apply, When::Before);
    let stop = CancellationToken::new();
    let others: Vec<_> = (0..3)
        .map(|_| {
            let Bench {
                queue,
                store,
                faults,
                clock,
                bell,
                ..
            } = &bench;
            tokio::spawn(worker(queue, store, faults, clock, bell).run(stop.clone()))
        })
        .collect();
    let (store, data_dir) = (Arc::clone(&bench.store), bench.directory.path().to_owned());
    bench
        .running(async {
            faults.until_ended(Call::Apply, 12).await;
            faults.mend(Call::Apply);
            while inspect::waiting(&data_dir).await.unwrap().messages > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    stop.cancel();
    for other in others {
        tokio::time::timeout(PATIENCE, other)
            .await
            .unwrap()
            .unwrap();
    }
    let all = store
        .list_events(&EventFilter::default(), 10_000)
        .await
        .unwrap();
    assert_eq!(all.len(), EVENTS as usize);
    for event in all {
        assert_eq!((event.deliveries, event.attempts), (1, 1), "{event:?}");
    }
}
