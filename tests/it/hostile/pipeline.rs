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

use crate::support::clock::FixedClock;
use crate::support::database;
use crate::support::directory::directory;
use crate::support::given::{at, user_id};
use crate::support::rabbitmq::{RabbitMq, topology};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DEPTH: usize = 100_000;
const MEGABYTE: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(10),
    longest: Duration::from_millis(100),
    seed: 7,
};

/// What becomes of it: the outcome in the ledger.
enum Ends {
    Alike(&'static str),
    /// Where one database takes what the other does not.
    InAFile(&'static str, &'static str),
}
use Ends::{Alike, InAFile};

struct Case {
    name: &'static str,
    provider: Provider,
    body: Vec<u8>,
    ends: Ends,
}

fn clerk(name: &'static str, fields: &str, ends: Ends) -> Case {
    let id = name.replace(' ', "_");
    let body = format!(
        r#"{{"type":"user.updated","object":"event","data":{{"id":"user_{id}","updated_at":1793611905087,{fields}}}}}"#
    );
    whole(name, Provider::Clerk, body, ends)
}

fn whole(name: &'static str, provider: Provider, body: impl Into<Vec<u8>>, ends: Ends) -> Case {
    Case {
        name,
        provider,
        body: body.into(),
        ends,
    }
}

fn cases() -> Vec<Case> {
    use Provider::{Clerk, Stripe};
    let deep = r#"{"a":"#.repeat(DEPTH) + "1" + &"}".repeat(DEPTH);
    let lists = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let long = "x".repeat(MEGABYTE - 1024);
    let escapes = r"\u00e9".repeat(MEGABYTE / 8);
    let keys: Vec<String> = (0..50_000)
        .map(|number| format!(r#""k{number}":1"#))
        .collect();
    vec![
        whole("an empty body", Stripe, "", Alike("payload_not_json")),
        whole("an empty body", Clerk, "", Alike("payload_not_json")),
        whole("an empty object", Stripe, "{}", Alike("type_missing")),
        whole(
            "a byte order mark",
            Stripe,
            b"\xef\xbb\xbf{}",
            Alike("payload_not_json"),
        ),
        whole(
            "bytes that are not text",
            Stripe,
            b"{\"type\":\"\xff\xfe\"}",
            Alike("payload_not_json"),
        ),
        whole(
            "nothing but NUL",
            Stripe,
            vec![0; 1000],
            Alike("payload_not_json"),
        ),
        whole(
            "lists of 100,000 levels",
            Stripe,
            lists.clone(),
            Alike("payload_not_json"),
        ),
        whole(
            "brackets without an end",
            Clerk,
            "[".repeat(MEGABYTE - 1),
            Alike("payload_not_json"),
        ),
        whole(
            "objects of 100,000 levels",
            Stripe,
            format!(r#"{{"type":"customer.updated","data":{{"object":{deep}}}}}"#),
            Alike("payload_invalid"),
        ),
        clerk(
            "depth that nobody reads",
            &format!(r#""x":{deep}"#),
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "depth in metadata",
            &format!(r#""public_metadata":{deep}"#),
            Alike("data_refused"),
        ),
        clerk(
            "depth in a name",
            &format!(r#""first_name":{lists}"#),
            Alike("payload_invalid"),
        ),
        clerk(
            "a name of 1 MiB",
            &format!(r#""first_name":"{long}""#),
            Alike("user_mirrored"),
        ),
        clerk(
            "metadata of 1 MiB",
            &format!(r#""public_metadata":{{"a":"{long}"}}"#),
            Alike("user_mirrored"),
        ),
        clerk(
            "escapes",
            &format!(r#""first_name":"{escapes}""#),
            Alike("user_mirrored"),
        ),
        clerk("50,000 keys", &keys.join(","), Alike("user_mirrored")),
        clerk(
            "NUL in a name",
            r#""first_name":"a\u0000b""#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "NUL in metadata",
            r#""public_metadata":{"a\u0000":"\u0000"}"#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "NUL where nobody reads",
            r#""x":"\u0000""#,
            Alike("user_mirrored"),
        ),
        clerk(
            "half a surrogate in a name",
            r#""first_name":"\ud800""#,
            Alike("payload_invalid"),
        ),
        clerk(
            "half a surrogate in metadata",
            r#""public_metadata":{"a":"\ud800"}"#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "numbers beyond all",
            r#""public_metadata":{"n":1e400,"m":-99999999999999999999999999}"#,
            Alike("user_mirrored"),
        ),
        clerk(
            "a number of 1,000 digits",
            &format!(r#""public_metadata":{{"n":{}}}"#, "9".repeat(1000)),
            Alike("user_mirrored"),
        ),
        clerk(
            "an exponent of six digits",
            r#""public_metadata":{"n":1e200000}"#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "a time beyond 64 bits",
            r#""created_at":9223372036854775808"#,
            Alike("payload_invalid"),
        ),
        clerk(
            "a time as a float",
            r#""created_at":1.5"#,
            Alike("payload_invalid"),
        ),
        clerk(
            "a key twice",
            r#""first_name":"a","first_name":"b""#,
            Alike("payload_invalid"),
        ),
        clerk(
            "a key twice in metadata",
            r#""public_metadata":{"a":1,"a":2}"#,
            Alike("user_mirrored"),
        ),
        whole(
            "an amount beyond 64 bits",
            Stripe,
            r#"{"id":"evt_amount","type":"charge.refunded","created":1,"data":{"object":{"id":"ch_1","amount":1e30,"amount_refunded":1,"created":1}}}"#,
            Alike("payload_invalid"),
        ),
        whole(
            "a type of a kilobyte",
            Stripe,
            format!(r#"{{"id":"evt_type","type":"{}"}}"#, "a".repeat(1024)),
            Alike("type_missing"),
        ),
        whole(
            "an id with NUL",
            Stripe,
            r#"{"id":"evt_\u0000","type":"a.type"}"#,
            Alike("type_not_handled"),
        ),
        whole(
            "a type and an id twice",
            Stripe,
            r#"{"id":"a","id":"b","type":"a","type":"b"}"#,
            Alike("type_missing"),
        ),
    ]
}

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
