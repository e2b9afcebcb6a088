//! The worker between a real queue and a real database, each of which can be made to fail.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::model::changes::{Applied, Outcome};
use hookmirror::model::event::Event;
use hookmirror::model::source::{Provider, SourceName, Sources};
use hookmirror::model::state::EventState;
use hookmirror::ops::account::account;
use hookmirror::queue::Publisher;
use hookmirror::queue::embedded::{EmbeddedQueue, inspect};
use hookmirror::store::Store;
use hookmirror::worker::{WorkError, Worker};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{self, USER};
use crate::support::clock::ManualClock;
use crate::support::database::{self, Database};
use crate::support::directory::directory;
use crate::support::faults::{Call, Faults, FaultyConsumer, FaultyStore, When};
use crate::support::given::{self, at, key, user_id};

const PATIENCE: Duration = Duration::from_secs(20);

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
        let worker = Worker {
            consumer: Box::new(FaultyConsumer {
                inner: Box::new(queue.consumer()),
                faults: Arc::clone(&faults),
            }),
            store: Arc::new(FaultyStore {
                inner: Arc::clone(&store),
                faults: Arc::clone(&faults),
            }),
            sources: Sources::default(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            outbox_bell: Arc::clone(&bell),
            backoff: Backoff {
                first: Duration::from_millis(1),
                longest: Duration::from_millis(5),
                seed: 7,
            },
        };
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
        let worker = self.worker.as_mut().unwrap();
        let batch = worker.take().await?;
        worker.process(batch).await
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
        .publish(fixture(Provider::Stripe, "customer.updated", "evt_1"))
        .await;
    bench.step().await.unwrap();
    assert!(!bench.bell_was_rung());
}

#[tokio::test]
async fn a_store_that_is_away_gives_the_batch_back_and_charges_nobody() {
    let mut bench = Bench::new().await;
    bench.publish(user_updated("msg_1")).await;
    bench.faults.fail_nth(1, Call::Apply, When::Before);
    let error = bench.step().await.unwrap_err();
    assert!(matches!(error, WorkError::Store(_)), "{error:?}");
    assert_eq!(bench.waiting().await, 1);
    assert_eq!(bench.account("msg_1").await, None);
    assert_eq!(bench.faults.ended(Call::Ack), 0);

    bench.step().await.unwrap();
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_1").await, applied);
    assert_eq!(bench.waiting().await, 0);
}

/// A commit whose confirmation got lost is found again as a duplicate.
#[tokio::test]
async fn a_commit_that_was_not_confirmed_has_its_effect_once() {
    let mut bench = Bench::new().await;
    bench.publish(user_updated("msg_1")).await;
    bench.publish(checkout("evt_1")).await;
    bench.faults.fail_nth(1, Call::Apply, When::After);
    assert!(bench.step().await.is_err());
    assert_eq!(bench.waiting().await, 2);
    let before = bench.store.find_user(&user_id(USER)).await.unwrap();

    bench.clock.advance(Duration::from_secs(60));
    for applied in bench.step().await.unwrap() {
        assert_eq!(applied.outcome, Outcome::Duplicate);
    }
    let after = bench.store.find_user(&user_id(USER)).await.unwrap();
    assert_eq!(after, before, "synced_at included");
    let twice = Some((EventState::Applied, 2, 1));
    assert_eq!(bench.account("msg_1").await, twice);
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn a_lost_acknowledgement_has_its_effect_once_and_wakes_the_outbox() {
    for when in [When::Before, When::After] {
        let mut bench = Bench::new().await;
        bench.publish(checkout("evt_1")).await;
        bench.faults.fail_nth(1, Call::Ack, when);
        let error = bench.step().await.unwrap_err();
        assert!(matches!(error, WorkError::Queue(_)), "{error:?}");
        assert!(bench.bell_was_rung(), "the payment is recorded");

        bench.publish(user_updated("msg_1")).await;
        let mut settled = 0;
        while bench.waiting().await > 0 {
            settled += bench.step().await.unwrap().len();
        }
        let deliveries = if when == When::Before { 2 } else { 1 };
        assert_eq!(settled, deliveries, "{when:?}");
        let account = bench.account("evt_1").await;
        let expected = u64::try_from(deliveries).unwrap();
        assert_eq!(account, Some((EventState::Applied, expected, 1)));
    }
}

#[tokio::test]
async fn events_of_an_unknown_source_fail_alone() {
    let mut bench = Bench::new().await;
    let mut stranger = checkout("evt_1");
    stranger.key.source = SourceName::parse("stripe-old").unwrap();
    let stranger_key = stranger.key.clone();
    bench.publish(stranger).await;
    bench.publish(checkout("evt_1")).await;
    let applied = bench.step().await.unwrap();
    assert_eq!(applied[0].outcome, Outcome::Failed("source_unknown"));
    assert_eq!(applied[1].outcome, Outcome::PaymentRecorded);
    let record = bench.store.find_event(&stranger_key).await.unwrap();
    let record = record.unwrap();
    assert_eq!(record.summary.state, EventState::Failed);
    assert!(record.payload.is_some(), "kept, to be replayed");
    assert!(record.summary.last_error.unwrap().contains("stripe-old"));
    assert_eq!(bench.waiting().await, 0);
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

#[tokio::test]
async fn it_resumes_by_itself_when_the_store_is_back() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Apply, When::Before);
    faults.break_down(Call::Ping, When::Before);
    bench.publish(user_updated("msg_1")).await;
    bench
        .running(async {
            faults.until_ended(Call::Ping, 5).await;
            assert_eq!(faults.ended(Call::Take), 1, "takes nothing meanwhile");
            assert_eq!(faults.ended(Call::Apply), 1);
            faults.mend(Call::Apply);
            faults.mend(Call::Ping);
            faults.until_ended(Call::Ack, 1).await;
        })
        .await;
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_1").await, applied);
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn it_outlives_a_queue_that_is_away() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Take, When::After);
    bench.publish(user_updated("msg_1")).await;
    bench
        .running(async {
            faults.until_ended(Call::Take, 4).await;
            faults.mend(Call::Take);
            faults.until_ended(Call::Ack, 1).await;
        })
        .await;
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_1").await, applied);
}

#[tokio::test]
async fn it_stops_while_it_waits_for_events_and_while_the_store_is_away() {
    let mut bench = Bench::new().await;
    bench.running(async {}).await;

    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Apply, When::Before);
    faults.break_down(Call::Ping, When::Before);
    bench.publish(user_updated("msg_1")).await;
    bench.running(faults.until_ended(Call::Ping, 1)).await;
    assert_eq!(bench.waiting().await, 1);
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
