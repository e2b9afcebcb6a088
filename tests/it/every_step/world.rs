//! One run of a scenario: a fresh database, a fresh queue, a fresh Clerk, and roles that are built anew
//! whenever they are gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::entitlement::Policy;
use hookmirror::model::event::Event;
use hookmirror::model::ledger::Waiting;
use hookmirror::model::outbox::Recipients;
use hookmirror::model::source::{Provider, Source, Sources};
use hookmirror::model::time::Timestamp;
use hookmirror::ops::account::account;
use hookmirror::outbox::{Dispatcher, WriteLimits};
use hookmirror::queue::Publisher;
use hookmirror::scheduler::{Replayer, Scheduler};
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::store::{Replays, Store};
use hookmirror::traces::Traces;
use hookmirror::worker::{DeadLetterDrain, Patience, Worker, decide};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::seams::{
    MemoryConsumer, MemoryQueue, StepClerk, StepConsumer, StepDeadLetters, StepPublisher,
};
use super::steps::{Steps, Trip};
use crate::support::clerk::FakeClerk;
use crate::support::clock::ManualClock;
use crate::support::directory::directory;
use crate::support::faulty_store::FaultyStore;
use crate::support::given::{at, user_id};
use crate::support::rows::{self, Rows};

pub(super) const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(5),
    seed: 7,
};
/// Of the outbox: an attempt that failed is made again within a lease.
const RETRIES: Backoff = Backoff {
    first: Duration::from_secs(4),
    longest: Duration::from_secs(20),
    seed: 7,
};
const NO_LIMITS: WriteLimits = WriteLimits {
    per_instance: 100_000,
    per_user: 100_000,
};
/// Longer than anything that is leased stays leased.
pub(super) const LEASE: Duration = Duration::from_secs(31);
/// More turns than any scenario takes: it never comes to rest.
const TURNS: usize = 200;

/// See the module.
pub(super) struct World {
    pub(super) steps: Arc<Steps>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) clerk: Arc<FakeClerk>,
    /// The database as the roles see it.
    pub(super) store: Arc<dyn Store>,
    /// The same, as the one sees it who looks on.
    pub(super) behind: Arc<SqliteStore>,
    known: Mutex<Sources>,
    pub(super) run: Run,
    /// What was there after each deed of an operator.
    pub(super) deeds: Mutex<Vec<Rows>>,
    directory: TempDir,
}

/// Which run it is.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) scenario: &'static str,
    pub(super) trip: Option<Trip>,
    /// What was there after each deed of an operator when nothing went wrong.
    pub(super) wanted: Arc<Vec<Rows>>,
}

/// A migrated database without rows, as it is in its file.
async fn empty_database() -> &'static [u8] {
    static EMPTY: OnceCell<Vec<u8>> = OnceCell::const_new();
    EMPTY
        .get_or_init(|| async {
            let directory = directory();
            let path = directory.path().join(FILE);
            let store = SqliteStore::open(&path).await.unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            std::fs::read(&path).unwrap()
        })
        .await
}

const FILE: &str = "mirror.db";

impl World {
    pub(super) async fn new(run: Run) -> Self {
        let directory = directory();
        let path = directory.path().join(FILE);
        std::fs::write(&path, empty_database().await).unwrap();
        let behind = Arc::new(SqliteStore::open(&path).await.unwrap());
        let steps = Arc::new(Steps::new(run.trip));
        Self {
            run,
            store: seam(Arc::clone(&behind) as Arc<dyn Store>, &steps),
            behind,
            steps,
            clock: Arc::new(ManualClock::new(at(100))),
            queue: Arc::default(),
            clerk: Arc::default(),
            known: Mutex::new(Provider::ALL.map(Source::from).into_iter().collect()),
            deeds: Mutex::default(),
            directory,
        }
    }

    /// The database as roles see it whose settings are others.
    pub(super) async fn with_policy(&self, policy: Policy) -> Arc<dyn Store> {
        let path = self.directory.path().join(FILE);
        let store = SqliteStore::open(&path).await.unwrap();
        seam(Arc::new(store.with_policy(policy)), &self.steps)
    }

    /// Which sources the workers know from now on.
    pub(super) fn know(&self, providers: &[Provider]) {
        let known = providers.iter().copied().map(Source::from);
        *self.known.lock().unwrap() = known.collect();
    }

    pub(super) fn sources(&self) -> Sources {
        self.known.lock().unwrap().clone()
    }

    /// What happened before the scenario: no step of it.
    pub(super) async fn given(&self, events: &[Event]) {
        let sources = self.sources();
        let batch: Vec<_> = events
            .iter()
            .map(|event| decide(&sources, event.clone()))
            .collect();
        self.behind.apply(&batch, self.now()).await.unwrap();
    }

    pub(super) fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(StepPublisher {
            queue: Arc::clone(&self.queue),
            steps: Arc::clone(&self.steps),
        })
    }

    /// What was found, and where in the loop.
    pub(super) fn tell(&self, what: &str) -> String {
        let Run { scenario, trip, .. } = self.run;
        let seen = self.steps.seen();
        match (trip, seen.tripped) {
            (Some(Trip { step, fault }), Some(call)) => {
                format!("{scenario}, step {step}, {call}, {fault:?}: {what}")
            }
            _ => format!("{scenario}, undisturbed: {what}"),
        }
    }

    /// Fails the test.
    pub(super) fn fail(&self, what: &str) -> ! {
        panic!("{}", self.tell(what))
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets a role do something. `None`: it is gone, with all that it held.
    pub(super) async fn drive<T>(&self, role: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.steps.gone() => None,
            done = role => Some(done),
        }
    }

    /// Works until the queue is empty.
    pub(super) async fn work(&self) {
        for _ in 0..TURNS {
            if self.queue.is_empty() {
                return;
            }
            let mut worker = Worker {
                consumer: Box::new(StepConsumer {
                    inner: Box::new(MemoryConsumer(Arc::clone(&self.queue))),
                    steps: Arc::clone(&self.steps),
                }),
                store: Arc::clone(&self.store),
                sources: self.sources(),
                clock: self.clock(),
                outbox_bells: Vec::new(),
                patience: patience(),
                traces: Traces::default(),
                metrics: WorkerMetrics::default(),
            };
            let never = CancellationToken::new();
            self.drive(async {
                let batch = worker.take().await?;
                worker.process(batch, &never).await
            })
            .await;
        }
        self.fail("the queue is never empty")
    }

    /// Records what the queue gave up on.
    pub(super) async fn drain(&self) {
        for _ in 0..TURNS {
            if !self.queue.has_dead() {
                return;
            }
            let mut drain = DeadLetterDrain {
                letters: Box::new(StepDeadLetters {
                    queue: Arc::clone(&self.queue),
                    steps: Arc::clone(&self.steps),
                }),
                store: Arc::clone(&self.store),
                clock: self.clock(),
                patience: patience(),
                sources: self.sources(),
                metrics: WorkerMetrics::default(),
            };
            let never = CancellationToken::new();
            self.drive(async {
                let batch = drain.take().await?;
                drain.record(batch, &never).await
            })
            .await;
        }
        self.fail("the dead letters never end")
    }

    pub(super) fn scheduler(&self) -> Scheduler {
        Scheduler {
            store: Arc::clone(&self.store),
            publisher: self.publisher(),
            clock: self.clock(),
            backoff: BACKOFF,
        }
    }

    /// Takes up what a pause has put aside.
    pub(super) async fn release(&self) {
        for _ in 0..TURNS {
            let released = self.drive(async { self.scheduler().release().await }).await;
            if let Some(Ok(false)) = released {
                return;
            }
        }
        self.fail("there is always more to release")
    }

    /// Tries again what is to be tried again, until nothing is.
    pub(super) async fn retry(&self) {
        for _ in 0..TURNS {
            self.work().await;
            let Some(due) = self.behind.next_retry_due().await.unwrap() else {
                return;
            };
            self.go_on_until(due);
            self.drive(async { self.scheduler().round().await }).await;
        }
        self.fail("there is always another attempt")
    }

    /// One step of the replays.
    pub(super) async fn replay_once(&self) {
        let replayer = Replayer {
            store: Arc::clone(&self.store),
            publisher: self.publisher(),
            clock: self.clock(),
            backoff: BACKOFF,
        };
        self.drive(async { replayer.step().await }).await;
    }

    /// Replays until no replay runs.
    pub(super) async fn replay(&self) {
        for _ in 0..TURNS {
            self.replay_once().await;
            let moved = !self.queue.is_empty();
            self.work().await;
            if self.behind.running_replays().await.unwrap().is_empty() {
                return;
            }
            if !moved {
                self.clock.advance(LEASE);
            }
        }
        self.fail("the replay never ends")
    }

    pub(super) fn dispatcher(&self, retries: Backoff) -> Dispatcher {
        let clerk = StepClerk {
            clerk: Arc::clone(&self.clerk) as _,
            steps: Arc::clone(&self.steps),
        };
        let store = Arc::clone(&self.store);
        Dispatcher::new(store, Arc::new(clerk), self.clock(), retries, NO_LIMITS)
    }

    /// So many rounds of delivery to Clerk, with the pauses that it asks for.
    pub(super) async fn deliver_rounds(&self, rounds: usize) {
        let never = CancellationToken::new();
        let mut dispatcher = self.dispatcher(RETRIES);
        for _ in 0..rounds {
            match self.drive(dispatcher.round(&never)).await {
                None => dispatcher = self.dispatcher(RETRIES),
                Some(Ok(round)) => self.clock.advance(round.pause.unwrap_or_default()),
                Some(Err(_)) => {}
            }
        }
    }

    /// Delivers until nothing waits.
    pub(super) async fn deliver(&self) {
        for _ in 0..TURNS {
            let due = self.behind.next_outbox_due(&Recipients::All).await.unwrap();
            let Some(due) = due else {
                return;
            };
            self.go_on_until(due);
            self.deliver_rounds(1).await;
        }
        self.fail("there is always something to deliver")
    }

    /// Lets this time come.
    pub(super) fn go_on_until(&self, due: Timestamp) {
        self.clock.set(self.now().max(due));
    }

    pub(super) async fn rows(&self) -> Rows {
        let path = self.directory.path().join(FILE);
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut direct = SqliteConnection::connect_with(&options).await.unwrap();
        let rows = rows::of_sqlite(&mut direct, &[]).await;
        direct.close().await.unwrap();
        rows
    }

    /// How it all ended. Nothing may be left in the queue.
    pub(super) async fn end(&self) -> End {
        if !self.queue.is_empty() || self.queue.has_dead() {
            self.fail("something is left in the queue");
        }
        let waiting = Waiting {
            events: self.queue.keys(),
            ..Waiting::default()
        };
        let account = account(&*self.behind, waiting).await.unwrap();
        let rows = self.rows().await;
        let users = rows.iter().filter(|(table, _)| table == "outbox");
        let users = users.map(|(_, row)| row["user_id"].as_str().unwrap().to_owned());
        let at_clerk = users.map(|user| {
            let metadata = self.clerk.metadata(&user_id(&user));
            (user, metadata)
        });
        End {
            at_clerk: at_clerk.collect::<BTreeMap<_, _>>(),
            account: (account.accepted, account.recorded),
            at: self.now(),
            rows,
        }
    }
}

fn seam(store: Arc<dyn Store>, steps: &Arc<Steps>) -> Arc<dyn Store> {
    Arc::new(FaultyStore {
        inner: store,
        faults: Arc::clone(steps),
    })
}

fn patience() -> Patience {
    Patience {
        backoff: BACKOFF,
        hold: Duration::from_secs(3600),
    }
}
