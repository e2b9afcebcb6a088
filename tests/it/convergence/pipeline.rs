//! The real worker, store, scheduler and dispatcher, driven through a schedule of deliveries and crashes.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::event::Event;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{Operator, Reason};
use hookmirror::model::outbox::Recipients;
use hookmirror::model::replay::{ReplayOrder, ReplayRate, ReplayScope};
use hookmirror::model::source::{Provider, Source, Sources};
use hookmirror::model::time::Timestamp;
use hookmirror::outbox::{Dispatcher, WriteLimits};
use hookmirror::scheduler::{Replayer, Scheduler};
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::store::{Replays, Store};
use hookmirror::traces::Traces;
use hookmirror::worker::{Patience, Worker};
use proptest::prelude::*;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::crash::{
    CrashPlan, CrashingClerk, CrashingConsumer, CrashingPublisher, FakeClerk, MemoryQueue, When,
};
use super::history::{RECEIVED_AT, World, user_id};
use super::reference::Mirror;
use super::tables;
use crate::support::faulty_store::FaultyStore;

/// How the events of a world arrive, and what goes wrong meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Places in the list of events, each at least once.
    deliveries: Vec<usize>,
    /// Sizes of batches, over and over.
    batches: Vec<usize>,
    /// After which batches the outbox is worked, over and over.
    outbox_after: Vec<bool>,
    crashes: BTreeSet<(usize, When)>,
    /// Calls to Clerk during which other things happen.
    stalls: BTreeSet<(usize, When)>,
    /// Whether stalled calls go on before the outbox is worked again, over and over.
    go_on: Vec<bool>,
    /// After so many batches the workers know of Stripe.
    stripe_known_after: usize,
    /// After which batches the time of the next attempt comes, over and over.
    retries_after: Vec<bool>,
    /// After how many batches everything that there is then is replayed, if it is.
    replay_after: Option<usize>,
}

/// Any schedule for so many events.
pub(super) fn schedules(events: usize) -> impl Strategy<Value = Schedule> {
    let extra = prop::collection::vec(0..events.max(1), 0..=events.min(4));
    let deliveries = extra.prop_flat_map(move |extra| {
        let all: Vec<usize> = (0..events)
            .chain(extra.into_iter().filter(move |place| *place < events))
            .collect();
        Just(all).prop_shuffle()
    });
    let when = prop_oneof![Just(When::Before), Just(When::After)];
    let crash = (0..24_usize, when.clone());
    // Fewer than an event has attempts: a batch makes one at most.
    let stripe_known_after = prop_oneof![2 => Just(0), 1 => 1..8_usize];
    let stall = (0..6_usize, when);
    (
        deliveries,
        prop::collection::vec(1..12_usize, 1..4),
        prop::collection::vec(any::<bool>(), 1..4),
        prop::collection::btree_set(crash, 0..4),
        prop::collection::btree_set(stall, 0..3),
        prop::collection::vec(any::<bool>(), 1..4),
        stripe_known_after,
        prop::collection::vec(any::<bool>(), 1..4),
        prop::option::weighted(0.2, 1..8_usize),
    )
        .prop_map(
            |(
                deliveries,
                batches,
                outbox_after,
                crashes,
                stalls,
                go_on,
                stripe_known_after,
                retries_after,
                replay_after,
            )| Schedule {
                deliveries,
                batches,
                outbox_after,
                crashes,
                stalls,
                go_on,
                stripe_known_after,
                retries_after,
                replay_after,
            },
        )
}

/// A clock that goes on only when it is told to.
#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A database that is emptied between cases, as making one costs more than a case.
pub(super) struct Pipeline {
    store: Arc<SqliteStore>,
    direct: Mutex<SqliteConnection>,
    _directory: TempDir,
}

impl Pipeline {
    pub(super) async fn set_up() -> Self {
        // Where there is a file system in memory, syncing costs nothing.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let path = directory.path().join("mirror.db");
        let store = SqliteStore::open(&path).await.unwrap();
        store.migrate().await.unwrap();
        let options = SqliteConnectOptions::new().filename(&path);
        Self {
            store: Arc::new(store),
            direct: Mutex::new(SqliteConnection::connect_with(&options).await.unwrap()),
            _directory: directory,
        }
    }

    /// Delivers the events of a world, and tells what is there when everything has come to rest.
    pub(super) async fn play(&self, world: &World, schedule: &Schedule) -> Mirror {
        tables::clear(&mut *self.direct.lock().await).await;
        let plan = CrashPlan::new(
            schedule.crashes.clone(),
            schedule.stalls.clone(),
            world.told(),
        );
        let events = world.events();
        let deliveries: Vec<Event> = schedule
            .deliveries
            .iter()
            .map(|place| events[*place].clone())
            .collect();
        let queue = MemoryQueue::new(deliveries, schedule.batches.clone());
        let known = (0..)
            .zip(&world.users)
            .filter(|(_, story)| !story.deleted)
            .map(|(user, _)| user_id(user));
        let clerk = FakeClerk::knowing(known);
        let clock = Arc::new(Hand(AtomicI64::new(RECEIVED_AT.as_millis())));
        let roles = Roles {
            store: Arc::new(FaultyStore {
                inner: Arc::clone(&self.store) as Arc<dyn Store>,
                faults: Arc::clone(&plan),
            }),
            queue: Arc::clone(&queue),
            clerk: Arc::clone(&clerk),
            clock,
            plan,
        };

        let mut outbox_after = schedule.outbox_after.iter().cycle();
        let mut go_on = schedule.go_on.iter().cycle();
        let mut retries_after = schedule.retries_after.iter().cycle();
        let mut stalled: Vec<Delivering> = Vec::new();
        let mut worked = 0;
        let mut replay_after = schedule.replay_after;
        loop {
            while !queue.is_empty() {
                roles
                    .work_one_batch(worked >= schedule.stripe_known_after)
                    .await;
                worked += 1;
                if retries_after.next() == Some(&true) {
                    let due = self.store.next_retry_due().await.unwrap();
                    roles.go_on_until(due, &mut stalled).await;
                    roles.queue_what_is_due().await;
                }
                if replay_after.take_if(|after| worked >= *after).is_some() {
                    roles.replay_everything().await;
                }
                if outbox_after.next() == Some(&true) {
                    if go_on.next() == Some(&true) {
                        roles.finish(&mut stalled).await;
                    }
                    stalled.extend(roles.drive(roles.deliver_what_is_due()).await);
                }
            }
            if replay_after.take().is_some() {
                roles.replay_everything().await;
            }
            if !self.store.running_replays().await.unwrap().is_empty() {
                let later = roles.clock.now().plus(LEASE);
                roles.go_on_until(Some(later), &mut stalled).await;
                roles.queue_what_is_replayed().await;
                continue;
            }
            let retry = self.store.next_retry_due().await.unwrap();
            let delivery = self.store.next_outbox_due(&Recipients::All).await.unwrap();
            let Some(due) = retry.into_iter().chain(delivery).min() else {
                break;
            };
            roles.go_on_until(Some(due), &mut stalled).await;
            roles.queue_what_is_due().await;
            stalled.extend(roles.drive(roles.deliver_what_is_due()).await);
            roles.finish(&mut stalled).await;
        }
        roles.finish(&mut stalled).await;
        Mirror {
            at_clerk: clerk.metadata(),
            ..tables::read(&mut *self.direct.lock().await).await
        }
    }
}

/// Everything of which a role is built anew after each crash.
struct Roles {
    store: Arc<FaultyStore<Arc<CrashPlan>>>,
    queue: Arc<MemoryQueue>,
    clerk: Arc<FakeClerk>,
    clock: Arc<Hand>,
    plan: Arc<CrashPlan>,
}

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(1),
    seed: 0,
};

/// Longer than what is leased for a replay stays leased.
const LEASE: Duration = Duration::from_secs(31);

/// More than any history needs: how limits are kept is another test's business.
const LIMITS: WriteLimits = WriteLimits {
    per_instance: 1_000_000,
    per_user: 1_000_000,
};

impl Roles {
    /// A crash drops the worker and what it holds.
    async fn work_one_batch(&self, stripe_is_known: bool) {
        let known = |provider: &Provider| stripe_is_known || *provider != Provider::Stripe;
        let mut worker = Worker {
            consumer: Box::new(CrashingConsumer {
                queue: Arc::clone(&self.queue),
                plan: Arc::clone(&self.plan),
            }),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            sources: Provider::ALL
                .into_iter()
                .filter(known)
                .map(Source::from)
                .collect::<Sources>(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            outbox_bells: Vec::new(),
            patience: Patience {
                backoff: BACKOFF,
                hold: Duration::from_secs(3600),
            },
            traces: Traces::default(),
            metrics: WorkerMetrics::default(),
        };
        let work = async {
            let batch = worker.take().await.unwrap();
            let never = CancellationToken::new();
            worker.process(batch, &never).await.unwrap();
        };
        tokio::select! {
            () = work => {}
            () = self.plan.crashed() => {}
        }
    }

    /// Lets this time come. No call to Clerk outlasts its lease, so they end before the clock goes on.
    async fn go_on_until(&self, due: Option<Timestamp>, stalled: &mut Vec<Delivering>) {
        if let Some(due) = due {
            self.finish(stalled).await;
            self.clock.0.fetch_max(due.as_millis(), Ordering::Relaxed);
        }
    }

    /// A crash drops the scheduler; its leases run out by themselves.
    async fn queue_what_is_due(&self) {
        let scheduler = Scheduler {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            publisher: Arc::new(CrashingPublisher {
                queue: Arc::clone(&self.queue),
                plan: Arc::clone(&self.plan),
            }),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            backoff: BACKOFF,
        };
        let work = async { while scheduler.round().await.unwrap().queued > 0 {} };
        tokio::select! {
            () = work => {}
            () = self.plan.crashed() => {}
        }
    }

    /// Orders it; what becomes of that is up to the others.
    async fn replay_everything(&self) {
        let order = ReplayOrder {
            scope: ReplayScope {
                filter: EventFilter::default(),
                limit: None,
            },
            rate: ReplayRate::DEFAULT,
            operator: Operator::unknown(),
        };
        let reason = Reason::parse("chance").unwrap();
        let store = &self.store.inner;
        let now = self.clock.now();
        store.start_replay(&order, &reason, now).await.unwrap();
    }

    /// As [`queue_what_is_due`](Self::queue_what_is_due).
    async fn queue_what_is_replayed(&self) {
        let replayer = Replayer {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            publisher: Arc::new(CrashingPublisher {
                queue: Arc::clone(&self.queue),
                plan: Arc::clone(&self.plan),
            }),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            backoff: BACKOFF,
        };
        let work = async { replayer.step().await.unwrap() };
        tokio::select! {
            _ = work => {}
            () = self.plan.crashed() => {}
        }
    }

    /// A dispatcher at work. Several may be, while calls of theirs are stalled.
    fn deliver_what_is_due(&self) -> Delivering {
        let dispatcher = Dispatcher::new(
            Arc::clone(&self.store) as Arc<dyn Store>,
            Arc::new(CrashingClerk {
                clerk: Arc::clone(&self.clerk),
                plan: Arc::clone(&self.plan),
            }),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            BACKOFF,
            LIMITS,
        );
        let never = CancellationToken::new();
        Box::pin(async move { while dispatcher.round(&never).await.unwrap().leased > 0 {} })
    }

    /// Drives a dispatcher until it is done, crashes (then its leases run out by themselves) or
    /// stalls; a stalled one is handed back.
    async fn drive(&self, mut delivering: Delivering) -> Option<Delivering> {
        // In this order: a role that has crashed while a call of its was stalled is gone.
        tokio::select! {
            biased;
            () = &mut delivering => None,
            () = self.plan.crashed() => None,
            () = self.plan.stalled() => Some(delivering),
        }
    }

    /// Lets stalled calls go on until every dispatcher is done or gone.
    async fn finish(&self, stalled: &mut Vec<Delivering>) {
        for mut delivering in stalled.drain(..) {
            loop {
                self.plan.go_on();
                match self.drive(delivering).await {
                    Some(again) => delivering = again,
                    None => break,
                }
            }
        }
    }
}

type Delivering = Pin<Box<dyn Future<Output = ()>>>;
