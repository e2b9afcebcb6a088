//! What a replay costs live traffic: how long live events take from being received to their effect being
//! committed, while nothing else happens, while thousands of others are replayed, and after it, in one
//! run. The embedded queue and a SQLite file; or a Postgres database, which must be empty.
//!
//! ```sh
//! cargo bench --bench replay
//! cargo bench --bench replay -- --events 10000 --rate 50 --live 200 --postgres postgres://…
//! ```

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use hookmirror::backoff::Backoff;
use hookmirror::clock::{Clock, SystemClock};
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::changes::{Decision, Failure, Planned};
use hookmirror::model::event::{Event, EventKey, Trigger};
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{Operator, Reason};
use hookmirror::model::replay::{ReplayOrder, ReplayRate, ReplayScope, ReplayState};
use hookmirror::model::source::{Provider, Source};
use hookmirror::model::state::EventState;
use hookmirror::queue::Publisher;
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::scheduler::Replayer;
use hookmirror::sender::{Delivery, Template, generate};
use hookmirror::store::Store;
use hookmirror::store::postgres::PostgresStore;
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::traces::Traces;
use hookmirror::worker::{Patience, Worker};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Fails the run: how many times as long live events may take while a replay runs.
const ALLOWED: f64 = 1.20;
/// Events are prepared in batches of this size.
const PREPARED: usize = 500;

/// Measures what a replay costs live traffic.
#[derive(Debug, Parser)]
struct Options {
    /// How many events are replayed
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// How many of them in a second
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// How many live events come in a second
    #[arg(long, default_value_t = 200)]
    live: u32,
    /// For how long to measure before the replay, and again after it
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    quiet: u64,
    /// An empty database on Postgres; without it, a SQLite file
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
}

/// When live events were received, and how long the others took.
#[derive(Debug, Default)]
struct Lags {
    received: HashMap<EventKey, Instant>,
    took: Vec<Duration>,
}

/// The engines of one run.
struct World {
    _directory: tempfile::TempDir,
    queue: EmbeddedQueue,
    store: Arc<dyn Store>,
    lags: Arc<Mutex<Lags>>,
    stop: CancellationToken,
}

impl World {
    async fn new(postgres: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the engines");
        let queue = EmbeddedQueue::open(directory.path())
            .await
            .expect("the queue opens");
        let store: Arc<dyn Store> = match postgres {
            Some(url) => Arc::new(PostgresStore::connect(url).expect("a URL of Postgres")),
            None => Arc::new(
                SqliteStore::open(&directory.path().join("mirror.db"))
                    .await
                    .expect("the database opens"),
            ),
        };
        store.migrate().await.expect("the database migrates");
        Self {
            _directory: directory,
            queue,
            store,
            lags: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Failed events in the ledger.
    async fn prepare(&self, failed: &[Delivery]) {
        for batch in failed.chunks(PREPARED) {
            let batch: Vec<Planned> = batch.iter().map(|delivery| fail(event(delivery))).collect();
            let applied = self.store.apply(&batch, SystemClock.now()).await;
            applied.expect("failed events are recorded");
        }
    }

    /// Applies what is on the queue, and notes when live events are.
    fn work(&self) -> JoinHandle<()> {
        let mut worker = Worker {
            consumer: Box::new(self.queue.consumer()),
            store: Arc::clone(&self.store),
            sources: Provider::ALL.into_iter().map(Source::from).collect(),
            clock: Arc::new(SystemClock),
            outbox_bells: Vec::new(),
            metrics: WorkerMetrics::default(),
            traces: Traces::default(),
            patience: Patience {
                backoff: backoff(),
                hold: Duration::from_secs(30),
            },
        };
        let (stop, lags) = (self.stop.clone(), Arc::clone(&self.lags));
        tokio::spawn(async move {
            while let Some(batch) = stop.run_until_cancelled(worker.take()).await {
                let batch = batch.expect("the queue is there");
                let applied = worker.process(batch, &stop).await;
                let now = Instant::now();
                let mut lags = lags.lock().expect("nobody panics");
                for applied in applied.expect("the database is there") {
                    // A replayed event is not among them.
                    if let Some(received) = lags.received.remove(&applied.key) {
                        lags.took.push(now - received);
                    }
                }
            }
        })
    }

    /// Sends live events at their rate until it is told to stop.
    fn send(&self, live: Vec<Delivery>, per_second: u32) -> JoinHandle<()> {
        let publisher: Arc<dyn Publisher> = Arc::new(self.queue.publisher());
        let (stop, lags) = (self.stop.clone(), Arc::clone(&self.lags));
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for delivery in live {
                if stop.run_until_cancelled(ticks.tick()).await.is_none() {
                    return;
                }
                let event = event(&delivery);
                let received = (event.key.clone(), Instant::now());
                lags.lock()
                    .expect("nobody panics")
                    .received
                    .extend([received]);
                let publisher = Arc::clone(&publisher);
                tokio::spawn(async move { publisher.publish(event).await });
            }
            panic!("there were too few live events for so long a run");
        })
    }

    /// The lags of what was applied in this time.
    async fn measure(&self, until: impl Future<Output = ()>) -> Vec<Duration> {
        self.lags.lock().expect("nobody panics").took.clear();
        until.await;
        std::mem::take(&mut self.lags.lock().expect("nobody panics").took)
    }

    /// Replays every failed event; ends when it has.
    async fn replay(&self, rate: u32, events: usize) {
        let order = ReplayOrder {
            scope: ReplayScope {
                filter: EventFilter {
                    states: vec![EventState::Failed],
                    ..EventFilter::default()
                },
                limit: None,
            },
            rate: ReplayRate::new(rate).expect("a rate from 1 to 1000"),
            operator: Operator::unknown(),
        };
        let reason = Reason::parse("to measure what it costs").expect("one line");
        let started = self.store.start_replay(&order, &reason, SystemClock.now());
        let started = started.await.expect("the replay starts");
        let id = started.id.expect("there is something to replay");
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let found = self.store.find_replay(id).await.expect("it can be watched");
            let replay = found.expect("it is there").replay;
            if replay.state != ReplayState::Running {
                assert_eq!(replay.done, events as u64, "every event was processed");
                return;
            }
        }
    }
}

fn backoff() -> Backoff {
    Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
        seed: 1,
    }
}

fn event(delivery: &Delivery) -> Event {
    Event {
        key: delivery.key(),
        event_type: delivery.event_type.clone(),
        received_at: SystemClock.now(),
        trigger: Trigger::Webhook,
        headers: KeptHeaders::default(),
        trace: None,
        body: delivery.body.clone(),
    }
}

fn fail(event: Event) -> Planned {
    let error = "a release that is mended by now".to_owned();
    let failure = Failure::new("payload_invalid", "data", &event.event_type, error);
    Planned {
        subject: Some(format!("user_of_{}", event.key.id)),
        keep_payload: true,
        decision: Decision::Fail(failure),
        event,
    }
}

/// Events about so many people, from the payload of the repository.
fn deliveries(count: usize, seed: u64) -> Vec<Delivery> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clerk/user.updated.json");
    let body = std::fs::read(&file).expect("the payload is there");
    let template = Template::detect("user.updated.json".to_owned(), body.into());
    // The first generation is the file itself, which both seeds would share.
    let generated = generate(
        &[template.expect("a payload of Clerk's")],
        Some(count + 1),
        seed,
    );
    generated.into_iter().skip(1).collect()
}

fn percentile(lags: &mut [Duration], percent: usize) -> f64 {
    lags.sort_unstable();
    let place = (lags.len() * percent / 100).min(lags.len().saturating_sub(1));
    lags.get(place)
        .map_or(f64::NAN, |lag| lag.as_secs_f64() * 1000.0)
}

fn tell(what: &str, lags: &mut [Duration]) -> f64 {
    let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(lags, percent));
    let events = lags.len();
    println!(
        "{what:<16} {events:>7} live events  p50 {p50:>7.2} ms  p99 {p99:>7.2} ms  max {max:>8.2} ms"
    );
    p99
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let quiet = Duration::from_secs(options.quiet);
    let replaying = options.events.div_ceil(options.rate as usize) as u64;
    let seconds = 2 * options.quiet + 2 * replaying + 60;
    let live = deliveries(options.live as usize * seconds as usize, 1);
    let failed = deliveries(options.events, 2);

    let world = World::new(options.postgres.as_deref()).await;
    world.prepare(&failed).await;
    let replayer = Replayer {
        store: Arc::clone(&world.store),
        publisher: Arc::new(world.queue.publisher()),
        clock: Arc::new(SystemClock),
        backoff: backoff(),
    };
    let tasks = [
        world.work(),
        world.send(live, options.live),
        tokio::spawn(replayer.run(world.stop.clone())),
    ];
    // Files grow and caches fill at first.
    world
        .measure(tokio::time::sleep(Duration::from_secs(5)))
        .await;

    println!(
        "{} live events a second; {} replayed at {} a second",
        options.live, options.events, options.rate
    );
    let mut before = world.measure(tokio::time::sleep(quiet)).await;
    tell("before", &mut before);
    let mut during = world
        .measure(world.replay(options.rate, options.events))
        .await;
    let during = tell("while it runs", &mut during);
    let mut after = world.measure(tokio::time::sleep(quiet)).await;
    tell("after", &mut after);
    world.stop.cancel();
    for task in tasks {
        task.await.expect("nothing panicked");
    }

    let mut without: Vec<Duration> = before.into_iter().chain(after).collect();
    let without = tell("before and after", &mut without);
    let ratio = during / without;
    println!("p99 with the replay is {ratio:.2} times that without; allowed: {ALLOWED:.2}");
    match ratio <= ALLOWED {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
