//! A message that ends the process whenever it is handled: nothing is half-done, and nothing is lost.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::source::Sources;
use hookmirror::model::state::EventState;
use hookmirror::queue::Publisher;
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::traces::Traces;
use hookmirror::worker::Worker;
use tokio_util::sync::CancellationToken;

use super::{PATIENT, checkout, user_updated};
use crate::support::abort::AbortOn;
use crate::support::clock::FixedClock;
use crate::support::directory::directory;
use crate::support::faulty_store::FaultyStore;
use crate::support::given::{at, key};

/// Where the process below finds its queue and its database.
const DIRECTORY: &str = "HOOKMIRROR_TEST_DIRECTORY";
const DEADLY: &str = "evt_deadly";

async fn store(directory: &Path) -> Arc<dyn Store> {
    let store = SqliteStore::open(&directory.join("mirror.db"))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    Arc::new(store)
}

/// Works one batch of the queue in a directory.
async fn work(directory: &Path, store: Arc<dyn Store>) {
    let queue = EmbeddedQueue::open(directory).await.unwrap();
    let mut worker = Worker {
        consumer: Box::new(queue.consumer()),
        store,
        sources: Sources::default(),
        clock: Arc::new(FixedClock(at(0))),
        outbox_bells: Vec::new(),
        patience: PATIENT,
        traces: Traces::default(),
        metrics: WorkerMetrics::default(),
    };
    let batch = worker.take().await.unwrap();
    let never = CancellationToken::new();
    worker.process(batch, &never).await.unwrap();
    drop(worker);
    queue.close().await;
}

#[tokio::test]
async fn a_worker_that_is_aborted_leaves_everything_to_the_next_one() {
    let directory = directory();
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    for event in [user_updated("msg_1"), checkout(DEADLY), checkout("evt_2")] {
        let _ = queue.publisher().publish(event).await.unwrap();
    }
    queue.close().await;
    for _ in 0..2 {
        let status = aborted_worker(directory.path());
        assert_eq!(status.code(), None, "ended by a signal: {status}");
    }

    let store = store(directory.path()).await;
    for event in ["msg_1", DEADLY, "evt_2"] {
        assert_eq!(
            store.find_event(&key(event)).await.unwrap(),
            None,
            "{event}"
        );
    }
    // After these deaths the queue hands out what was there one by one.
    let all = EventFilter::default();
    while store.list_events(&all, 10).await.unwrap().len() < 3 {
        work(directory.path(), Arc::clone(&store)).await;
    }
    for event in ["msg_1", DEADLY, "evt_2"] {
        let record = store.find_event(&key(event)).await.unwrap().unwrap();
        assert_eq!(record.summary.state, EventState::Applied, "{event}");
        assert_eq!(record.summary.deliveries, 1);
    }
}

fn aborted_worker(directory: &Path) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker::abort::worker_with_a_defect"])
        .args(["--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// Does nothing for whoever runs ignored tests and names no directory.
#[tokio::test]
#[ignore = "is the process that the test above starts"]
#[expect(
    clippy::disallowed_methods,
    reason = "a word from the test that started it, not a setting"
)]
async fn worker_with_a_defect() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let store = FaultyStore {
        inner: store(directory).await,
        faults: AbortOn(key(DEADLY)),
    };
    work(directory, Arc::new(store)).await;
}
