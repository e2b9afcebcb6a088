//! A front door on loopback, and a client that sends exactly what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hookmirror::ingress::{self, IngressState, Limits};
use hookmirror::model::event::EventId;
use hookmirror::model::source::{Provider, Source, SourceName};
use hookmirror::model::time::Timestamp;
use hookmirror::provider::{self, Verifier};
use hookmirror::traces::Traces;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::clock::FixedClock;
use crate::support::publisher::{Behaviour, RecordingPublisher};

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_763_700_000);
pub(super) const OLD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(super) const SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";
pub(super) const STRANGERS_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(super) const THIRD: &str = "stripe-2";
pub(super) const THIRD_SECRET: &str = "whsec_of_the_third_source_alone";
pub(super) const TOLERANCE: Duration = Duration::from_secs(300);

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fails the test, rather than hang it.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("nothing happened for a long time")
}

pub(super) fn limits() -> Limits {
    Limits {
        max_body_bytes: 64 * 1024,
        max_buffered_bytes: 1024 * 1024,
        ..Limits::default()
    }
}

pub(super) fn state(publisher: &Arc<RecordingPublisher>, limits: Limits) -> IngressState {
    let secrets = [OLD_SECRET, SECRET].map(SecretString::from);
    let verifiers = Provider::ALL
        .into_iter()
        .map(|provider| Verifier::new(provider.into(), &secrets, TOLERANCE).unwrap())
        .chain([
            Verifier::new(unconfigured(), &[], TOLERANCE).unwrap(),
            Verifier::new(third(), &[THIRD_SECRET.into()], TOLERANCE).unwrap(),
        ])
        .collect();
    IngressState::new(
        verifiers,
        publisher.clone(),
        Arc::new(FixedClock(NOW)),
        limits,
        Traces::default(),
    )
}

/// Another account of Stripe's, with a secret of its own.
fn third() -> Source {
    Source {
        name: SourceName::parse(THIRD).unwrap(),
        provider: Provider::Stripe,
        livemode: None,
    }
}

/// A source that is known and has no secret.
fn unconfigured() -> Source {
    Source {
        name: SourceName::parse("bare").unwrap(),
        provider: Provider::Clerk,
        livemode: None,
    }
}

pub(super) fn router(publisher: &Arc<RecordingPublisher>, limits: Limits) -> Router {
    ingress::router(state(publisher, limits))
}

/// A front door that is being served.
pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) publisher: Arc<RecordingPublisher>,
    pub(super) shutdown: CancellationToken,
    pub(super) served: JoinHandle<usize>,
}

impl Door {
    pub(super) async fn open(behaviour: Behaviour) -> Self {
        Self::open_with(behaviour, limits()).await
    }

    pub(super) async fn open_with(behaviour: Behaviour, limits: Limits) -> Self {
        let publisher = Arc::new(RecordingPublisher::new(behaviour));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = router(&publisher, limits.clone());
        let served = tokio::spawn(ingress::serve(listener, router, limits, shutdown.clone()));
        Self {
            address,
            publisher,
            shutdown,
            served,
        }
    }

    pub(super) async fn connect(&self) -> Wire {
        Wire {
            stream: TcpStream::connect(self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// One request on a connection of its own.
    pub(super) async fn ask(&self, request: &[u8]) -> Answer {
        let mut wire = self.connect().await;
        wire.send(request).await;
        wire.answer().await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(&head("GET", path, &HeaderMap::new())).await
    }

    pub(super) async fn post(
        &self,
        provider: Provider,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Answer {
        self.ask(&post(provider, headers, body)).await
    }
}

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Like `send`, for a peer that may have hung up by now.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        soon(self.stream.write_all(bytes)).await
    }

    /// Reads to the end of the connection, however it ends, and gives what came.
    pub(super) async fn rest(mut self) -> Vec<u8> {
        let _ = soon(self.stream.read_to_end(&mut self.read)).await;
        self.read
    }

    /// Waits for `100 Continue`: the server wants the body now.
    pub(super) async fn told_to_continue(&mut self) {
        let (status, _) = self.head().await;
        assert_eq!(status, StatusCode::CONTINUE);
    }

    pub(super) async fn answer(&mut self) -> Answer {
        self.answer_to("POST").await
    }

    pub(super) async fn answer_to(&mut self, method: &str) -> Answer {
        let (status, headers) = self.head().await;
        let announced = headers.get("content-length").map_or(0, |length| {
            length.to_str().unwrap().parse::<usize>().unwrap()
        });
        let length = if method == "HEAD" { 0 } else { announced };
        while self.read.len() < length {
            self.more().await;
        }
        let body = self.read.drain(..length).collect();
        let answer = Answer {
            status,
            headers,
            body,
        };
        answer.check();
        answer
    }

    async fn head(&mut self) -> (StatusCode, HeaderMap) {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            self.more().await;
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect();
        (status.parse().unwrap(), headers)
    }

    async fn more(&mut self) {
        let read = soon(self.stream.read_buf(&mut self.read)).await.unwrap();
        assert_ne!(read, 0, "the connection ended before the answer did");
    }
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// What must hold for every answer.
    fn check(&self) {
        assert!(!self.headers.contains_key("webhook-delivery"), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json");
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The code of a refusal; checks that it has the shape of one.
    pub(super) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let error = body["error"].as_object().unwrap();
        assert_eq!(error.len(), 2, "{body}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        error["code"].as_str().unwrap().to_owned()
    }

    pub(super) fn closes(&self) -> bool {
        self.headers.get("connection").is_some_and(|c| c == "close")
    }

    /// Status and code of a refusal.
    pub(super) fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), self.code())
    }
}

pub(super) fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub(super) fn event_id() -> EventId {
    EventId::parse("msg_1").unwrap()
}

/// A body that names `msg_1`, for the provider that takes the id from there.
pub(super) fn body() -> Vec<u8> {
    br#"{"id":"msg_1","type":"user.created","data":{"email":"ada@example.com"}}"#.to_vec()
}

/// A body of exactly this length.
pub(super) fn body_of(length: usize) -> Vec<u8> {
    vec![b'x'; length]
}

pub(super) fn sign(provider: Provider, body: &[u8]) -> HeaderMap {
    sign_with(SECRET, provider, NOW, body)
}

pub(super) fn sign_with(
    secret: &str,
    provider: Provider,
    now: Timestamp,
    body: &[u8],
) -> HeaderMap {
    provider::sign(
        provider,
        &SecretString::from(secret),
        &event_id(),
        now,
        body,
    )
    .unwrap()
}

/// A request line and headers, up to and including the empty line.
pub(super) fn head(method: &str, path: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The head of a webhook that announces a body of `length` bytes.
pub(super) fn post_head(provider: Provider, headers: &HeaderMap, length: usize) -> Vec<u8> {
    let mut headers = headers.clone();
    headers.insert("content-length", length.into());
    head("POST", &format!("/webhooks/{provider}"), &headers)
}

/// The same, which in addition waits to be told to send the body.
pub(super) fn asking_head(provider: Provider, headers: &HeaderMap, length: usize) -> Vec<u8> {
    let mut headers = headers.clone();
    headers.insert("expect", HeaderValue::from_static("100-continue"));
    post_head(provider, &headers, length)
}

pub(super) fn post(provider: Provider, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut bytes = post_head(provider, headers, body.len());
    bytes.extend_from_slice(body);
    bytes
}
