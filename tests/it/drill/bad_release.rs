//! A release of the program whose handler of one type is broken: everything else of it is real.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::clock::{Clock, SystemClock};
use hookmirror::ingress::{self, IngressState, Limits};
use hookmirror::model::changes::{Decision, Failure, Planned};
use hookmirror::model::event::Event;
use hookmirror::model::source::{Provider, Source, Sources};
use hookmirror::model::state::EventState;
use hookmirror::provider::Verifier;
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::queue::{Batch, Consumer};
use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::traces::Traces;
use hookmirror::worker;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::process::{Home, SECRETS};

const BATCH: usize = 200;
const PLACE: &str = "data.object.amount_total";

/// What it says of each event that it cannot handle.
pub(super) const ERROR: &str =
    "data.object.amount_total: expected a string: this release reads amounts as text";

/// The front door, the queue and the database of an installation, in this process.
pub(super) struct BadRelease {
    broken: &'static str,
    sources: Sources,
    queue: EmbeddedQueue,
    store: SqliteStore,
    stop: CancellationToken,
    served: JoinHandle<usize>,
}

impl BadRelease {
    /// Starts; events of the type `broken` will fail.
    pub(super) async fn start(home: &Home, broken: &'static str) -> Self {
        let queue = EmbeddedQueue::open(&home.data_dir()).await.unwrap();
        let store = home.store().await;
        let verifiers = Provider::ALL.into_iter().zip(SECRETS);
        let verifiers = verifiers.map(|(provider, (_, secret))| {
            let tolerance = Duration::from_secs(300);
            Verifier::new(provider.into(), &[secret.into()], tolerance).unwrap()
        });
        let state = IngressState::new(
            verifiers.collect(),
            Arc::new(queue.publisher()),
            Arc::new(SystemClock),
            Limits::default(),
            Traces::default(),
        );
        let listener = TcpListener::bind(home.address).await.unwrap();
        let stop = CancellationToken::new();
        let router = ingress::router(state);
        let serving = ingress::serve(listener, router, Limits::default(), stop.clone());
        Self {
            broken,
            sources: Provider::ALL.into_iter().map(Source::from).collect(),
            queue,
            store,
            stop,
            served: tokio::spawn(serving),
        }
    }

    /// Works until this many deliveries are through; answers how many events of them failed.
    pub(super) async fn work_through(&self, deliveries: usize) -> usize {
        let mut consumer = self.queue.consumer();
        let (mut done, mut failed) = (0, 0);
        while done < deliveries {
            let Batch { events, delivery } = consumer.take(BATCH).await.unwrap();
            let planned: Vec<Planned> =
                events.into_iter().map(|event| self.decide(event)).collect();
            let applied = self.store.apply(&planned, SystemClock.now()).await.unwrap();
            delivery.ack().await.unwrap();
            done += planned.len();
            let states = applied.iter().map(|applied| applied.state);
            failed += states.filter(|state| *state == EventState::Failed).count();
        }
        failed
    }

    fn decide(&self, event: Event) -> Planned {
        let mut planned = worker::decide(&self.sources, event);
        let event_type = &planned.event.event_type;
        if event_type.as_str() == self.broken {
            let failure = Failure::new("payload_invalid", PLACE, event_type, ERROR.to_owned());
            planned.decision = Decision::Fail(failure);
        }
        planned
    }

    /// Ends as a process does that is asked to.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap();
        self.store.close().await;
        self.queue.close().await;
    }
}
