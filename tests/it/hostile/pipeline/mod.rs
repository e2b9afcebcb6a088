//! The worst bodies, signed as the provider would sign them, all the way: listener, queue, worker,
//! database. Each is answered with 202 and ends in a state, and its neighbours are mirrored.
//!
//! All of them are one batch, with a good event before and after each.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::ingress::{self, IngressState, Limits};
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::event::{EventId, EventKey};
use hookmirror::model::source::{Provider, Source, Sources};
use hookmirror::provider::{Verifier, sign};
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::queue::rabbitmq::{RabbitQueue, Settings};
use hookmirror::queue::{Consumer, Publisher};
use hookmirror::store::Store;
use hookmirror::traces::Traces;
use hookmirror::worker::{Patience, Worker};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use self::cases::{Alike, InAFile, cases};
use crate::support::clock::FixedClock;
use crate::support::database;
use crate::support::directory::directory;
use crate::support::given::{at, user_id};
use crate::support::rabbitmq::{RabbitMq, topology};

mod cases;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(60);
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(10),
    longest: Duration::from_millis(100),
    seed: 7,
};

/// A user between two cases.
fn neighbour(number: usize) -> Vec<u8> {
    let body = format!(
        r#"{{"type":"user.updated","data":{{"id":"user_good{number}","updated_at":1793611905087}}}}"#
    );
    body.into_bytes()
}

/// What is between the listener and the database.
struct Way {
    publisher: Arc<dyn Publisher>,
    consumer: Box<dyn Consumer>,
    store: Arc<dyn Store>,
}

/// Posts one body on a connection of its own; answers the id of its event.
async fn post(
    address: std::net::SocketAddr,
    provider: Provider,
    id: &str,
    body: &[u8],
) -> EventKey {
    let id = EventId::parse(id).unwrap();
    let headers = sign(provider, &SecretString::from(SECRET), &id, at(0), body).unwrap();
    let mut request = format!(
        "POST /webhooks/{provider} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in &headers {
        request += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    let mut wire = TcpStream::connect(address).await.unwrap();
    wire.write_all((request + "\r\n").as_bytes()).await.unwrap();
    wire.write_all(body).await.unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let (_, accepted) = answer.split_once("\r\n\r\n").unwrap();
    let accepted: serde_json::Value = serde_json::from_str(accepted).unwrap();
    EventKey {
        source: provider.into(),
        id: EventId::parse(accepted["id"].as_str().unwrap()).unwrap(),
    }
}

async fn goes_all_the_way(way: Way, is_file: bool) {
    let verifiers = Provider::ALL.map(|provider| {
        Verifier::new(provider.into(), &[SECRET.into()], Duration::from_secs(300)).unwrap()
    });
    let clock = Arc::new(FixedClock(at(0)));
    let limits = Limits::default();
    let state = IngressState::new(
        verifiers.into(),
        way.publisher,
        clock.clone(),
        limits.clone(),
        Traces::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(ingress::serve(
        listener,
        ingress::router(state),
        limits,
        stop.clone(),
    ));

    let cases = cases();
    let mut keys = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let good = format!("msg_good{number}");
        post(address, Provider::Clerk, &good, &neighbour(number)).await;
        let id = format!("msg_{number}");
        keys.push(post(address, case.provider, &id, &case.body).await);
    }
    let last = cases.len();
    post(address, Provider::Clerk, "msg_good_last", &neighbour(last)).await;

    let mut worker = Worker {
        consumer: way.consumer,
        store: Arc::clone(&way.store),
        sources: Provider::ALL
            .into_iter()
            .map(Source::from)
            .collect::<Sources>(),
        clock,
        outbox_bells: Vec::new(),
        patience: Patience {
            backoff: BACKOFF,
            hold: Duration::from_secs(3600),
        },
        traces: Traces::default(),
        metrics: WorkerMetrics::default(),
    };
    let mut worked = 0;
    while worked < 2 * last + 1 {
        let batch = tokio::time::timeout(PATIENCE, worker.take()).await;
        let batch = batch.expect("all of them come").unwrap();
        let applied = worker.process(batch, &stop).await.unwrap();
        worked += applied.len();
    }

    let mut wrong = Vec::new();
    for (case, key) in cases.iter().zip(&keys) {
        let record = way.store.find_event(key).await.unwrap().unwrap();
        assert_eq!(
            record.payload.as_deref(),
            Some(&case.body[..]),
            "{}",
            case.name
        );
        let expected = match case.ends {
            Alike(outcome) => outcome,
            InAFile(outcome, _) if is_file => outcome,
            InAFile(_, outcome) => outcome,
        };
        let summary = record.summary;
        if summary.outcome != expected {
            wrong.push(format!(
                "{}: {} ({:?})",
                case.name, summary.outcome, summary.last_error
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for number in 0..=last {
        let good = user_id(&format!("user_good{number}"));
        assert!(
            way.store.find_user(&good).await.unwrap().is_some(),
            "{number}"
        );
    }
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test]
async fn by_the_embedded_queue_into_a_file() {
    let directory = directory();
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    let database = database::sqlite().await;
    let way = Way {
        publisher: Arc::new(queue.publisher()),
        consumer: Box::new(queue.consumer()),
        store: Arc::clone(&database.store),
    };
    goes_all_the_way(way, true).await;
}

#[tokio::test]
async fn by_rabbitmq_to_a_server() {
    let broker = RabbitMq::shared();
    let queue = RabbitQueue::new(&broker.url(), topology(), Settings::default(), BACKOFF).unwrap();
    queue.check().await.unwrap();
    let publisher = queue.publisher();
    publisher.connected().await;
    let database = database::postgres().await;
    let way = Way {
        publisher: Arc::new(publisher),
        consumer: Box::new(queue.consumer()),
        store: Arc::clone(&database.store),
    };
    goes_all_the_way(way, false).await;
    queue.close().await;
}
