//! A message that ends the process of its worker each time it is handled.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hookmirror::backoff::Backoff;
use hookmirror::clock::SystemClock;
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::source::{Provider, Source, Sources};
use hookmirror::model::state::EventState;
use hookmirror::queue::Publisher;
use hookmirror::queue::rabbitmq::{RabbitQueue, Settings, Topology};
use hookmirror::store::Store;
use hookmirror::store::postgres::PostgresStore;
use hookmirror::traces::Traces;
use hookmirror::worker::{DeadLetterDrain, Patience, Worker};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use crate::support::abort::AbortOn;
use crate::support::faulty_store::FaultyStore;
use crate::support::given::{event, key};
use crate::support::postgres::TestDatabase;
use crate::support::rabbitmq::{RabbitMq, topology};

const BROKER: &str = "HOOKMIRROR_TEST_BROKER";
const DATABASE: &str = "HOOKMIRROR_TEST_DATABASE";
const NAMES: &str = "HOOKMIRROR_TEST_NAMES";
const DEADLY: &str = "msg_deadly";
const NEIGHBOURS: usize = 300;
/// The broker's limit is twenty; it takes a few deaths until the killer is suspected.
const MOST_DEATHS: usize = 30;
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(10),
    longest: Duration::from_millis(100),
    seed: 7,
};

fn queue(url: &SecretString, topology: Topology) -> RabbitQueue {
    RabbitQueue::new(url, topology, Settings::default(), BACKOFF).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_as_failed_and_its_neighbours_are_applied() {
    let broker = RabbitMq::shared();
    let database = TestDatabase::migrated().await;
    let names = topology();
    let queue = queue(&broker.url(), names.clone());
    queue.check().await.unwrap();
    let publisher = queue.publisher();
    publisher.connected().await;
    let ids = (0..NEIGHBOURS).map(|number| match number {
        150 => DEADLY.to_owned(),
        _ => format!("msg_{number}"),
    });
    let publishing = ids.map(|id| publisher.publish(event(&id, "session.created")));
    for confirmed in join_all(publishing).await {
        let _ = confirmed.unwrap();
    }

    let store = database.store();
    let mut deaths = 0;
    let mut worker = worker_with_a_defect(broker, &database.url, &names);
    let all = EventFilter::default();
    let recorded = || store.list_events(&all, 1000);
    while recorded().await.unwrap().len() < NEIGHBOURS {
        if let Some(status) = worker.try_wait().unwrap() {
            assert_eq!(status.code(), None, "ended by a signal: {status}");
            deaths += 1;
            assert!(deaths <= MOST_DEATHS, "it goes on and on");
            worker = worker_with_a_defect(broker, &database.url, &names);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.kill().unwrap();
    worker.wait().unwrap();

    let deadly = store.find_event(&key(DEADLY)).await.unwrap().unwrap();
    assert_eq!(deadly.summary.state, EventState::Failed);
    assert_eq!(deadly.summary.outcome, "delivery_limit");
    let reason = deadly.summary.last_error.unwrap();
    assert!(reason.contains("again and again"), "{reason}");
    assert!(deadly.payload.is_some(), "to be looked at");
    for event in recorded().await.unwrap() {
        if event.key != key(DEADLY) {
            assert_eq!(event.state, EventState::Ignored, "{event:?}");
        }
    }
    queue.close().await;
}

fn worker_with_a_defect(broker: &RabbitMq, database: &str, names: &Topology) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fleet::poison::a_worker_with_a_defect"])
        .args(["--ignored", "--nocapture"])
        .env(BROKER, broker.url().expose_secret())
        .env(DATABASE, database)
        .env(NAMES, names.events_exchange.trim_end_matches(".events"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing for whoever runs ignored tests and names no broker.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is the process that the test above starts"]
#[expect(
    clippy::disallowed_methods,
    reason = "words from the test that started it, not settings"
)]
async fn a_worker_with_a_defect() {
    let (Ok(broker), Ok(database), Ok(names)) = (
        std::env::var(BROKER),
        std::env::var(DATABASE),
        std::env::var(NAMES),
    ) else {
        return;
    };
    let names = Topology {
        events_exchange: format!("{names}.events"),
        work_queue: format!("{names}.work"),
        dead_exchange: format!("{names}.dead"),
        dead_queue: format!("{names}.dead"),
    };
    let queue = queue(&broker.into(), names);
    let store: Arc<dyn Store> = Arc::new(FaultyStore {
        inner: Arc::new(PostgresStore::connect(&database).unwrap()),
        faults: AbortOn(key(DEADLY)),
    });
    let patience = Patience {
        backoff: BACKOFF,
        hold: Duration::from_secs(30),
    };
    let worker = Worker {
        consumer: Box::new(queue.consumer()),
        store: Arc::clone(&store),
        sources: [Source::from(Provider::Clerk)]
            .into_iter()
            .collect::<Sources>(),
        clock: Arc::new(SystemClock),
        outbox_bells: Vec::new(),
        patience,
        traces: Traces::default(),
        metrics: WorkerMetrics::default(),
    };
    let drain = DeadLetterDrain {
        letters: Box::new(queue.dead_letters()),
        store,
        clock: Arc::new(SystemClock),
        patience,
        metrics: WorkerMetrics::default(),
        sources: Sources::default(),
    };
    let never = CancellationToken::new();
    tokio::join!(worker.run(never.clone()), drain.run(never));
}
