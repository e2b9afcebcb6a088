//! The roles of one process: built, started and ended in the right order.
//!
//! Ingress starts whether or not the database answers, as no database is on its path. The other roles
//! wait until the schema is current.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::engines::database::Database;
use super::engines::queue::Queue;
use super::front_door::{FrontDoor, Ingress};
use super::private_door::PrivateDoor;
use super::schema::{Migrating, migrate, migrate_patiently};
use crate::admin;
use crate::backoff::Backoff;
use crate::clerk_api::ClerkApi;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::metrics::{Counted, WorkerMetrics};
use crate::model::outbox::Recipients;
use crate::model::retention::RetentionPolicy;
use crate::model::source::{SourceName, Sources};
use crate::outbox::{DeliveryStats, Dispatcher, WriteLimits};
use crate::retention::Sweeper;
use crate::scheduler::{Replayer, Scheduler};
use crate::store::StoreError;
use crate::traces::{Collector, Exporter, Traces};
use crate::worker::{DeadLetterDrain, Patience, Reassessment, Worker};

/// How long the start waits for the schema of a database elsewhere: the front door stays shut
/// meanwhile.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(10);

/// What a system is built from. What is not there is a role that this process does not have.
pub(super) struct Parts {
    /// Needed by `ingress` and `work`.
    pub(super) queue: Option<Queue>,
    /// Needed by `work` and `dispatch`.
    pub(super) database: Option<Database>,
    /// The front door.
    pub(super) ingress: Option<Ingress>,
    /// The sources that are configured.
    pub(super) names: Vec<SourceName>,
    /// From the queue to the database: worker, dead letters, schedulers.
    pub(super) work: Option<Sources>,
    /// How long what was received is kept; for `work`.
    pub(super) retention: RetentionPolicy,
    /// From the database to Clerk, instance by instance.
    pub(super) dispatch: Vec<Dispatch>,
    /// Who takes traces.
    pub(super) collector: Option<Collector>,
    /// The private listener.
    pub(super) private_door: Option<PrivateDoor>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// Decides jitter.
    pub(super) seed: u64,
}

/// A Clerk instance to deliver to.
pub(super) struct Dispatch {
    /// Whose metadata it holds.
    pub(super) recipients: Recipients,
    /// Its Backend API.
    pub(super) clerk: Arc<dyn ClerkApi>,
    /// How much it may be sent.
    pub(super) limits: WriteLimits,
}

/// What the private listener tells, beside what the queue and the database say.
struct Told {
    names: Vec<SourceName>,
    counted: Vec<Box<dyn Counted>>,
    dispatchers: Vec<Arc<DeliveryStats>>,
    clock: Arc<dyn Clock>,
}

/// Everything that runs.
pub(super) struct System {
    /// Where ingress listens, if it does.
    pub(super) address: Option<SocketAddr>,
    queue: Option<Queue>,
    database: Option<Database>,
    ingress: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    exporter: Option<JoinHandle<()>>,
    stop_ingress: CancellationToken,
    stop_work: CancellationToken,
    stop_traces: CancellationToken,
    /// Cancelled when a role ends without having been asked to.
    broken: CancellationToken,
}

impl System {
    /// Brings the schema up to date and starts every role. Listens last: nothing is accepted before
    /// it can be kept.
    pub(super) async fn start(parts: Parts) -> anyhow::Result<Self> {
        let mut system = Self {
            address: None,
            queue: parts.queue,
            database: parts.database,
            ingress: Vec::new(),
            workers: Vec::new(),
            exporter: None,
            stop_ingress: CancellationToken::new(),
            stop_work: CancellationToken::new(),
            stop_traces: CancellationToken::new(),
            broken: CancellationToken::new(),
        };
        let backoff = Backoff {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
            seed: parts.seed,
        };
        let traces = system.start_traces(parts.collector, parts.seed, backoff)?;
        let schema = system.prepare_schema(backoff).await?;
        let bells: Vec<Arc<Notify>> = parts.dispatch.iter().map(|_| Arc::default()).collect();
        let mut dispatchers = Vec::new();
        let mut counted: Vec<Box<dyn Counted>> = Vec::new();

        if let (Some(sources), Some(queue), Some(database)) =
            (parts.work, &system.queue, &system.database)
        {
            // An outage that is over should not be waited for much longer.
            let backoff = Backoff {
                longest: Duration::from_secs(2),
                ..backoff
            };
            let patience = Patience {
                backoff,
                hold: Duration::from_secs(30),
            };
            let metrics = WorkerMetrics::default();
            counted.push(Box::new(metrics.clone()));
            let worker = Worker {
                consumer: queue.consumer(),
                store: database.store(),
                sources: sources.clone(),
                clock: Arc::clone(&parts.clock),
                outbox_bells: bells.clone(),
                patience,
                metrics: metrics.clone(),
                traces: traces.clone(),
            };
            let drain = DeadLetterDrain {
                letters: queue.dead_letters(),
                store: database.store(),
                clock: Arc::clone(&parts.clock),
                patience,
                sources,
                metrics,
            };
            let scheduler = Scheduler {
                store: database.store(),
                publisher: queue.publisher(),
                clock: Arc::clone(&parts.clock),
                backoff,
            };
            let replayer = Replayer {
                store: database.store(),
                publisher: queue.publisher(),
                clock: Arc::clone(&parts.clock),
                backoff,
            };
            let sweeper = Sweeper {
                store: database.store(),
                policy: parts.retention,
                clock: Arc::clone(&parts.clock),
                backoff: backoff.of("sweeper"),
            };
            let reassessment = Reassessment {
                store: database.store(),
                clock: Arc::clone(&parts.clock),
                outbox_bells: bells.clone(),
                backoff,
            };
            let stop = system.stop_work.clone();
            system.start_worker("reassessment", &schema, reassessment.run(stop.clone()));
            system.start_worker("worker", &schema, worker.run(stop.clone()));
            system.start_worker("dead letter drain", &schema, drain.run(stop.clone()));
            system.start_worker("scheduler", &schema, scheduler.run(stop.clone()));
            system.start_worker("replayer", &schema, replayer.run(stop.clone()));
            system.start_worker("sweeper", &schema, sweeper.run(stop));
        }
        if let Some(store) = system.database.as_ref().map(Database::store) {
            for (dispatch, bell) in parts.dispatch.into_iter().zip(bells) {
                let Dispatch {
                    recipients,
                    clerk,
                    limits,
                } = dispatch;
                let clock = Arc::clone(&parts.clock);
                let dispatcher = Dispatcher::new(Arc::clone(&store), clerk, clock, backoff, limits)
                    .serving(recipients)
                    .traced_by(traces.clone());
                dispatchers.push(dispatcher.stats());
                let run = dispatcher.run(bell, system.stop_work.clone());
                system.start_worker("dispatcher", &schema, run);
            }
        }
        let front = match (parts.ingress, &system.queue) {
            (Some(front), Some(queue)) => Some(FrontDoor::new(front, queue, &parts.clock, traces)),
            _ => None,
        };
        if let Some(front) = &front {
            counted.push(Box::new(front.metrics()));
        }
        if let Some(door) = parts.private_door {
            let told = Told {
                names: parts.names,
                counted,
                dispatchers,
                clock: parts.clock,
            };
            system.open_private_door(door, told).await?;
        }
        if let Some(front) = front {
            system.open_the_door(front).await?;
        }
        Ok(system)
    }

    /// Brings the schema up to date. Answers a token that is cancelled when it is: at once, or, if the
    /// database is away, as soon as it is back.
    async fn prepare_schema(&mut self, backoff: Backoff) -> anyhow::Result<CancellationToken> {
        let current = CancellationToken::new();
        let Some(database) = &self.database else {
            return Ok(current);
        };
        let store = database.store();
        let mut migrating: Migrating = Box::pin(migrate(Arc::clone(&store)));
        let patience = match database.is_remote() {
            true => SCHEMA_PATIENCE,
            false => Duration::MAX,
        };
        let under_way = match tokio::time::timeout(patience, &mut migrating).await {
            Ok(Ok(())) => {
                current.cancel();
                return Ok(current);
            }
            Ok(Err(error @ StoreError::Unavailable { .. })) if database.is_remote() => {
                tracing::warn!(
                    error = %ErrorChain(&error),
                    "the database is away; it is tried again until it is there"
                );
                None
            }
            Ok(Err(error)) => {
                return Err(error).context("cannot start without the database (DATABASE_URL)");
            }
            Err(_) => {
                tracing::warn!(
                    "the schema is not current yet; events stay in the queue until it is: is another \
                     process migrating it?"
                );
                Some(migrating)
            }
        };
        let done = current.clone();
        let stop = self.stop_work.clone();
        let waiting = async move {
            let waiting = migrate_patiently(store, backoff, under_way);
            if stop.run_until_cancelled(waiting).await == Some(true) {
                done.cancel();
                stop.cancelled().await;
            }
        };
        let task = watched(waiting, "migration", &self.broken, &self.stop_work);
        self.workers.push(task);
        Ok(current)
    }

    /// Answers where spans are handed over.
    fn start_traces(
        &mut self,
        collector: Option<Collector>,
        seed: u64,
        backoff: Backoff,
    ) -> anyhow::Result<Traces> {
        let Some(collector) = collector else {
            return Ok(Traces::ids_only(seed));
        };
        let (traces, exporter) = Exporter::new(collector, seed, backoff)
            .context("cannot send traces (OTEL_EXPORTER_OTLP_ENDPOINT)")?;
        // Nothing depends on it, so nobody watches it.
        self.exporter = Some(tokio::spawn(exporter.run(self.stop_traces.clone())));
        Ok(traces)
    }

    /// Starts a role that needs the database, once its schema is current.
    fn start_worker(
        &mut self,
        name: &'static str,
        schema: &CancellationToken,
        role: impl Future<Output = ()> + Send + 'static,
    ) {
        let (schema, stop) = (schema.clone(), self.stop_work.clone());
        let run = async move {
            if stop.run_until_cancelled(schema.cancelled()).await.is_some() {
                role.await;
            }
        };
        let task = watched(run, name, &self.broken, &self.stop_work);
        self.workers.push(task);
    }

    /// Needs no schema: it tells what can be told.
    async fn open_private_door(&mut self, door: PrivateDoor, told: Told) -> anyhow::Result<()> {
        let Told {
            names,
            counted,
            dispatchers,
            clock,
        } = told;
        let queue = self.queue.as_ref();
        let (depths, spool) = (queue.map(Queue::depths), queue.map(Queue::spool_depth));
        let oldest = queue.map(Queue::oldest);
        let sources = admin::Sources {
            store: self.database.as_ref().map(Database::store),
            names,
            counted,
            oldest: Box::new(move || oldest.as_ref()?()),
            queues: Box::new(move || depths.as_ref().map(|depths| depths()).unwrap_or_default()),
            spool: Box::new(move || spool.as_ref()?()),
            dispatchers,
            clock,
        };
        if let Some(serve) = door.open(sources, self.stop_work.clone()).await? {
            let task = watched(serve, "private listener", &self.broken, &self.stop_work);
            self.workers.push(task);
        }
        Ok(())
    }

    async fn open_the_door(&mut self, front: FrontDoor) -> anyhow::Result<()> {
        let (address, serve) = front.open(self.stop_ingress.clone()).await?;
        self.address = Some(address);
        let task = watched(serve, "ingress", &self.broken, &self.stop_ingress);
        self.ingress.push(task);
        if let Some(relay) = self.queue.as_ref().and_then(Queue::relay) {
            let run = relay.run(self.stop_work.clone());
            let task = watched(run, "relay", &self.broken, &self.stop_work);
            self.workers.push(task);
        }
        Ok(())
    }

    /// Resolves when a role has ended by itself: nothing works without it.
    pub(super) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Ends every role, the front door first, so that what was accepted is with the queue before the
    /// queue closes. What is not finished within `deadline` is dropped; the queue still has it.
    pub(super) async fn stop(self, deadline: Duration) {
        let stopped = async {
            self.stop_ingress.cancel();
            for task in self.ingress {
                join(task).await;
            }
            self.stop_work.cancel();
            for task in self.workers {
                join(task).await;
            }
            self.stop_traces.cancel();
            if let Some(exporter) = self.exporter {
                join(exporter).await;
            }
            if let Some(queue) = self.queue {
                queue.close().await;
            }
            if let Some(database) = self.database {
                database.close().await;
            }
        };
        if tokio::time::timeout(deadline, stopped).await.is_err() {
            tracing::warn!("not everything ended in time; what was in hand will be done again");
        }
    }
}

fn watched(
    role: impl Future<Output = ()> + Send + 'static,
    name: &'static str,
    broken: &CancellationToken,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let (broken, stop) = (broken.clone(), stop.clone());
    tokio::spawn(async move {
        // Cancelled on every way out, a panic included.
        let guard = broken.drop_guard();
        role.await;
        if stop.is_cancelled() {
            guard.disarm();
        } else {
            tracing::error!(role = name, "the {name} ended without having been asked to");
        }
    })
}

async fn join(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(error = %error, "a role did not end by itself");
    }
}
