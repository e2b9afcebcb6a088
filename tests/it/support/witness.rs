//! A collector of traces and a Clerk API in one, which remember what they were sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::{patch, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// What came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    exported: Vec<Bytes>,
    export_headers: Vec<HeaderMap>,
    traceparents: Vec<String>,
}

impl Witness {
    /// Listens; answers where.
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let witness = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/traces", post(export))
            .route("/v1/users/{id}/metadata", patch(merge))
            .with_state(witness.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (witness, address)
    }

    /// All spans that were exported.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let seen = self.0.lock().unwrap();
        let requests = seen.exported.iter();
        let requests = requests.map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Every byte that was exported.
    pub(crate) fn exported(&self) -> Vec<u8> {
        self.0.lock().unwrap().exported.concat()
    }

    /// What the collector was told beside the spans.
    pub(crate) fn export_headers(&self) -> Vec<HeaderMap> {
        self.0.lock().unwrap().export_headers.clone()
    }

    /// The traces of the calls to Clerk.
    pub(crate) fn traceparents(&self) -> Vec<String> {
        self.0.lock().unwrap().traceparents.clone()
    }
}

async fn export(State(witness): State<Witness>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut seen = witness.0.lock().unwrap();
    seen.exported.push(body);
    seen.export_headers.push(headers);
    StatusCode::OK
}

async fn merge(State(witness): State<Witness>, headers: HeaderMap) -> &'static str {
    let trace = headers["traceparent"].to_str().unwrap().to_owned();
    witness.0.lock().unwrap().traceparents.push(trace);
    "{}"
}
