//! All roles in one process: built, started and ended in the right order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clerk_api::ClerkApi;
use crate::clock::Clock;
use crate::ingress::{self, IngressState, Limits};
use crate::model::source::Sources;
use crate::outbox::Dispatcher;
use crate::provider::Verifier;
use crate::queue::embedded::EmbeddedQueue;
use crate::scheduler::Scheduler;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::worker::Worker;

/// What a system is built from.
pub(super) struct Parts<'a> {
    /// Where the embedded queue lives.
    pub(super) data_dir: &'a Path,
    /// Where the mirror lives.
    pub(super) database: &'a Path,
    /// Where to listen.
    pub(super) listen: SocketAddr,
    /// What to change if that address cannot be had.
    pub(super) listen_is_set_by: &'static str,
    /// One for each source.
    pub(super) verifiers: Vec<Verifier>,
    /// How much ingress takes on at most.
    pub(super) limits: Limits,
    /// Where metadata goes; without it, it waits in the outbox.
    pub(super) clerk: Option<Arc<dyn ClerkApi>>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// Decides jitter.
    pub(super) seed: u64,
}

/// Everything that runs.
pub(super) struct System {
    /// Where ingress listens.
    pub(super) address: SocketAddr,
    /// The database.
    pub(super) store: Arc<SqliteStore>,
    queue: EmbeddedQueue,
    ingress: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    stop_ingress: CancellationToken,
    stop_work: CancellationToken,
    /// Cancelled when a role ends without having been asked to.
    broken: CancellationToken,
}

impl System {
    /// Opens the engines, brings the schema up to date, and starts every role. Listens last: nothing
    /// is accepted before it can be kept.
    pub(super) async fn start(parts: Parts<'_>) -> anyhow::Result<Self> {
        let queue = EmbeddedQueue::open(parts.data_dir)
            .await
            .context("cannot start without the queue")?;
        let store = Arc::new(
            SqliteStore::open(parts.database)
                .await
                .context("cannot start without the database")?,
        );
        for migration in store
            .migrate()
            .await
            .context("cannot migrate the database")?
        {
            tracing::info!(migration, "applied migration {migration}");
        }
        let listener = TcpListener::bind(parts.listen).await.with_context(|| {
            format!(
                "cannot listen on {}, set by {}",
                parts.listen, parts.listen_is_set_by
            )
        })?;
        let address = listener.local_addr().context("cannot listen")?;

        let backoff = Backoff {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
            seed: parts.seed,
        };
        let outbox_bell = Arc::new(Notify::new());
        let stop_ingress = CancellationToken::new();
        let stop_work = CancellationToken::new();
        let broken = CancellationToken::new();

        let worker = Worker {
            consumer: Box::new(queue.consumer()),
            store: Arc::clone(&store) as Arc<dyn Store>,
            sources: parts
                .verifiers
                .iter()
                .map(|verifier| verifier.source().clone())
                .collect::<Sources>(),
            clock: Arc::clone(&parts.clock),
            outbox_bell: Arc::clone(&outbox_bell),
            backoff,
        };
        let mut workers = vec![watched(
            worker.run(stop_work.clone()),
            "worker",
            &broken,
            &stop_work,
        )];
        let scheduler = Scheduler {
            store: Arc::clone(&store) as Arc<dyn Store>,
            publisher: Arc::new(queue.publisher()),
            clock: Arc::clone(&parts.clock),
            backoff: backoff.of("scheduler"),
        };
        workers.push(watched(
            scheduler.run(stop_work.clone()),
            "scheduler",
            &broken,
            &stop_work,
        ));
        if let Some(clerk) = parts.clerk {
            let store = Arc::clone(&store) as Arc<dyn Store>;
            let dispatcher = Dispatcher::new(store, clerk, Arc::clone(&parts.clock), backoff);
            let run = dispatcher.run(outbox_bell, stop_work.clone());
            workers.push(watched(run, "dispatcher", &broken, &stop_work));
        }
        let state = IngressState::new(
            parts.verifiers,
            Arc::new(queue.publisher()),
            parts.clock,
            parts.limits.clone(),
        );
        let router = ingress::router(state);
        let stop = stop_ingress.clone();
        let serve = async move {
            ingress::serve(listener, router, parts.limits, stop).await;
        };
        let ingress = watched(serve, "ingress", &broken, &stop_ingress);
        Ok(Self {
            address,
            store,
            queue,
            ingress,
            workers,
            stop_ingress,
            stop_work,
            broken,
        })
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
            join(self.ingress, "ingress").await;
            self.stop_work.cancel();
            for worker in self.workers {
                join(worker, "a worker").await;
            }
            self.queue.close().await;
            self.store.close().await;
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

async fn join(task: JoinHandle<()>, name: &'static str) {
    if let Err(error) = task.await {
        tracing::error!(error = %error, "{name} did not end by itself");
    }
}
