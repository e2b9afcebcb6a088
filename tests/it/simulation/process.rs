//! A process: the real roles, on the seams of the simulation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::ingress::{IngressState, Limits, router};
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::source::{Provider, Source, Sources};
use hookmirror::outbox::{Dispatcher, WriteLimits};
use hookmirror::provider::Verifier;
use hookmirror::queue::Publisher;
use hookmirror::scheduler::{Replayer, Scheduler};
use hookmirror::store::Store;
use hookmirror::traces::Traces;
use hookmirror::worker::{DeadLetterDrain, Patience, Worker};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::history::PROCESSES;
use super::part::{Outside, Part};
use super::provider::{Posted, Providers, SECRET};
use super::seams::{ClerkSeam, QueueSeam};
use crate::support::faulty_store::FaultyStore;

const TOLERANCE: Duration = Duration::from_secs(300);
/// No orderly end takes longer, that of a process which stands still for a while included.
const DEADLINE: Duration = Duration::from_secs(200);
const LIMITS: WriteLimits = WriteLimits {
    per_instance: 95,
    per_user: 10,
};

/// Ends where it stands when it is dropped.
pub(super) struct Process {
    roles: JoinSet<()>,
    stop: CancellationToken,
}

/// What a process does.
struct Roles {
    serves: bool,
    works: bool,
    dispatches: bool,
}

impl Roles {
    fn of(outside: &Outside, process: usize) -> Self {
        let all = outside.history.in_one_process;
        let is = |number| all || process * 3 / PROCESSES == number;
        Self {
            serves: is(0),
            works: is(1),
            dispatches: is(2),
        }
    }
}

impl Process {
    /// Starts it, as it is configured at this time.
    pub(super) fn start(
        outside: &Arc<Outside>,
        providers: &Arc<Providers>,
        process: usize,
    ) -> Self {
        let part = Part {
            outside: Arc::clone(outside),
            process,
        };
        let mut started = Self {
            roles: JoinSet::new(),
            stop: CancellationToken::new(),
        };
        let roles = Roles::of(outside, process);
        let bell = Arc::<Notify>::default();
        if roles.works {
            started.work(&part, &bell);
        }
        if roles.dispatches {
            started.dispatch(&part, bell);
        }
        if roles.serves {
            started.serve(&part, providers.listen(process));
        }
        started
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    ///
    /// When it does not end, or a role of it has panicked.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        let ending = async {
            while let Some(role) = self.roles.join_next().await {
                role.unwrap();
            }
        };
        let ended = tokio::time::timeout(DEADLINE, ending).await;
        ended.expect("a process that was asked to end does");
    }

    /// # Panics
    ///
    /// When a role has ended by itself.
    pub(super) fn check(&mut self) {
        if let Some(role) = self.roles.try_join_next() {
            role.unwrap();
            panic!("a role ended without having been asked to");
        }
    }

    fn work(&mut self, part: &Part, bell: &Arc<Notify>) {
        let backoff = Backoff {
            longest: Duration::from_secs(2),
            ..backoff(part)
        };
        let patience = Patience {
            backoff,
            hold: Duration::from_secs(30),
        };
        let sources = sources(&part.outside);
        let queue = queue(part);
        let metrics = WorkerMetrics::default();
        let worker = Worker {
            consumer: Box::new(queue.clone()),
            store: store(part),
            sources: sources.clone(),
            clock: clock(part),
            outbox_bells: vec![Arc::clone(bell)],
            patience,
            metrics: metrics.clone(),
            traces: Traces::default(),
        };
        let drain = DeadLetterDrain {
            letters: Box::new(queue.clone()),
            store: store(part),
            clock: clock(part),
            patience,
            sources,
            metrics,
        };
        let publisher: Arc<dyn Publisher> = Arc::new(queue);
        let scheduler = Scheduler {
            store: store(part),
            publisher: Arc::clone(&publisher),
            clock: clock(part),
            backoff,
        };
        let replayer = Replayer {
            store: store(part),
            publisher,
            clock: clock(part),
            backoff,
        };
        self.roles.spawn(worker.run(self.stop.clone()));
        self.roles.spawn(drain.run(self.stop.clone()));
        self.roles.spawn(scheduler.run(self.stop.clone()));
        self.roles.spawn(replayer.run(self.stop.clone()));
    }

    fn dispatch(&mut self, part: &Part, bell: Arc<Notify>) {
        let clerk = Arc::new(ClerkSeam(part.clone()));
        let dispatcher = Dispatcher::new(store(part), clerk, clock(part), backoff(part), LIMITS);
        self.roles.spawn(dispatcher.run(bell, self.stop.clone()));
    }

    fn serve(&mut self, part: &Part, door: UnboundedReceiver<Posted>) {
        let secrets = [SECRET.into()];
        let verifiers = Provider::ALL
            .into_iter()
            .map(|provider| Verifier::new(provider.into(), &secrets, TOLERANCE).unwrap())
            .collect();
        let state = IngressState::new(
            verifiers,
            Arc::new(queue(part)),
            clock(part),
            Limits::default(),
            Traces::default(),
        );
        let router = TowerToHyperService::new(router(state));
        let run = receive(part.clone(), router, door, self.stop.clone());
        self.roles.spawn(run);
    }
}

/// Handles what is posted, each request by itself, until `stop`; then it finishes those under way.
async fn receive(
    part: Part,
    router: TowerToHyperService<Router>,
    mut door: UnboundedReceiver<Posted>,
    stop: CancellationToken,
) {
    let mut requests = JoinSet::new();
    while let Some(Some((request, answer))) = stop.run_until_cancelled(door.recv()).await {
        let (part, handled) = (part.clone(), router.call(request));
        requests.spawn(async move {
            let Ok::<_, Infallible>(response) = handled.await;
            part.goes_on().await;
            // The provider may have hung up.
            let _ = answer.send(response.status());
        });
    }
    while let Some(request) = requests.join_next().await {
        request.unwrap();
    }
}

fn backoff(part: &Part) -> Backoff {
    Backoff {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(60),
        seed: part.outside.history.pace.wrapping_add(part.process as u64),
    }
}

fn clock(part: &Part) -> Arc<dyn Clock> {
    Arc::new(part.clone())
}

fn store(part: &Part) -> Arc<dyn Store> {
    let inner = Arc::clone(&part.outside.database.store);
    Arc::new(FaultyStore {
        inner,
        faults: part.clone(),
    })
}

fn queue(part: &Part) -> QueueSeam {
    QueueSeam {
        part: part.clone(),
        queue: part.outside.queue.clone(),
    }
}

/// A worker that is started too early does not know of Stripe.
fn sources(outside: &Outside) -> Sources {
    let stripe_is_known = outside.elapsed() >= outside.history.stripe_known_at;
    let known = |provider: &Provider| stripe_is_known || *provider != Provider::Stripe;
    let known = Provider::ALL.into_iter().filter(known);
    known.map(Source::from).collect()
}
