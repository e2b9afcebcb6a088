//! The roles of one process: built, started and ended in the right order.
//!
//! Ingress starts whether or not the database answers, as no database is on its path. The other roles
//! wait until the schema is current.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::engines::database::Database;
use super::engines::queue::Queue;
use super::private_door::PrivateDoor;
use crate::admin;
use crate::backoff::Backoff;
use crate::clerk_api::ClerkApi;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::ingress::{self, IngressState, Limits};
use crate::model::outbox::Recipients;
use crate::model::retention::RetentionPolicy;
use crate::model::source::Sources;
use crate::outbox::{DeliveryStats, Dispatcher, WriteLimits};
use crate::provider::Verifier;
use crate::retention::Sweeper;
use crate::scheduler::{Replayer, Scheduler};
use crate::store::{Store, StoreError};
use crate::worker::{DeadLetterDrain, Patience, Reassessment, Worker};

/// How long the start waits for the schema of a database elsewhere: the front door stays shut
/// meanwhile.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(10);

/// A migration that was begun.
type Migrating = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// What a system is built from. What is not there is a role that this process does not have.
pub(super) struct Parts {
    /// Needed by `ingress` and `work`.
    pub(super) queue: Option<Queue>,
    /// Needed by `work` and `dispatch`.
    pub(super) database: Option<Database>,
    /// The front door.
    pub(super) ingress: Option<Ingress>,
    /// From the queue to the database: worker, dead letters, schedulers.
    pub(super) work: Option<Sources>,
    /// How long what was received is kept; for `work`.
    pub(super) retention: RetentionPolicy,
    /// From the database to Clerk, instance by instance.
    pub(super) dispatch: Vec<Dispatch>,
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

/// The front door, before it is opened.
pub(super) struct Ingress {
    /// Where to listen.
    pub(super) listen: SocketAddr,
    /// What to change if that address cannot be had.
    pub(super) listen_is_set_by: &'static str,
    /// One for each source.
    pub(super) verifiers: Vec<Verifier>,
    /// How much it takes on at most.
    pub(super) limits: Limits,
}

/// Everything that runs.
pub(super) struct System {
    /// Where ingress listens, if it does.
    pub(super) address: Option<SocketAddr>,
    queue: Option<Queue>,
    database: Option<Database>,
    ingress: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    stop_ingress: CancellationToken,
    stop_work: CancellationToken,
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
            stop_ingress: CancellationToken::new(),
            stop_work: CancellationToken::new(),
            broken: CancellationToken::new(),
        };
        let backoff = Backoff {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
            seed: parts.seed,
        };
        let schema = system.prepare_schema(backoff).await?;
        let bells: Vec<Arc<Notify>> = parts.dispatch.iter().map(|_| Arc::default()).collect();
        let mut dispatchers = Vec::new();

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
            let worker = Worker {
                consumer: queue.consumer(),
                store: database.store(),
                sources,
                clock: Arc::clone(&parts.clock),
                outbox_bells: bells.clone(),
                patience,
            };
            let drain = DeadLetterDrain {
                letters: queue.dead_letters(),
                store: database.store(),
                clock: Arc::clone(&parts.clock),
                patience,
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
                    .serving(recipients);
                dispatchers.push(dispatcher.stats());
                let run = dispatcher.run(bell, system.stop_work.clone());
                system.start_worker("dispatcher", &schema, run);
            }
        }
        if let Some(door) = parts.private_door {
            let clock = Arc::clone(&parts.clock);
            system.open_private_door(door, dispatchers, clock).await?;
        }
        if let Some(front) = parts.ingress {
            system.open_the_door(front, parts.clock).await?;
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
    async fn open_private_door(
        &mut self,
        door: PrivateDoor,
        dispatchers: Vec<Arc<DeliveryStats>>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let queue = self.queue.as_ref();
        let (depths, spool) = (queue.map(Queue::depths), queue.map(Queue::spool_depth));
        let sources = admin::Sources {
            store: self.database.as_ref().map(Database::store),
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

    async fn open_the_door(&mut self, front: Ingress, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        let listener = TcpListener::bind(front.listen).await.with_context(|| {
            format!(
                "cannot listen on {}, set by {}",
                front.listen, front.listen_is_set_by
            )
        })?;
        self.address = Some(listener.local_addr().context("cannot listen")?);
        let limits = front.limits;
        let state = IngressState::new(front.verifiers, queue.front(), clock, limits.clone());
        let router = ingress::router(state);
        let stop = self.stop_ingress.clone();
        let serve = async move {
            ingress::serve(listener, router, limits, stop).await;
        };
        let relay = queue.relay();
        let task = watched(serve, "ingress", &self.broken, &self.stop_ingress);
        self.ingress.push(task);
        if let Some(relay) = relay {
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

async fn migrate(store: Arc<dyn Store>) -> Result<(), StoreError> {
    for migration in store.migrate().await? {
        tracing::info!(migration, "applied migration {migration}");
    }
    Ok(())
}

/// Tries until the database answers, `under_way` first; whether the schema is current then.
async fn migrate_patiently(
    store: Arc<dyn Store>,
    backoff: Backoff,
    mut under_way: Option<Migrating>,
) -> bool {
    let mut failures = 0;
    loop {
        let result = match under_way.take() {
            Some(migrating) => migrating.await,
            None => {
                tokio::time::sleep(backoff.delay(failures)).await;
                migrate(Arc::clone(&store)).await
            }
        };
        match result {
            Ok(()) => {
                tracing::info!("the database is there; work begins");
                return true;
            }
            Err(StoreError::Unavailable { .. }) => failures += 1,
            Err(error) => {
                tracing::error!(error = %ErrorChain(&error), "cannot work with the database");
                return false;
            }
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
