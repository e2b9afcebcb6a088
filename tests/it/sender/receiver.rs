//! A receiver of webhooks whose answers are scripted, and that checks signatures as we do.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hookmirror::clock::{Clock, SystemClock};
use hookmirror::model::event::Event;
use hookmirror::model::source::{Provider, Source};
use hookmirror::provider::{UnverifiedWebhook, Verifier, verify};
use hookmirror::sender::Endpoint;
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::{CLERK_SECRET, STRIPE_SECRET};

/// An attempt that came with a good signature.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) event: Event,
    pub(super) headers: HeaderMap,
}

/// Takes attempts in until it is dropped.
pub(super) struct Receiver {
    base: String,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    server: AbortHandle,
}

impl Receiver {
    /// Answers each attempt with what `answer` makes of it and of the number of those before it.
    pub(super) async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(usize, Attempt) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send,
    {
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&attempts);
        let handler = async move |Path(source): Path<String>, headers: HeaderMap, body: Bytes| {
            let attempt = verified(&source, headers, body);
            let before = {
                let mut attempts = record.lock().unwrap();
                attempts.push(attempt.clone());
                attempts.len() - 1
            };
            answer(before, attempt).await
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/webhooks/{source}", post(handler));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            base,
            attempts,
            server: server.abort_handle(),
        }
    }

    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        endpoints(&self.base)
    }

    /// What has come, in order. A forged attempt is answered with a 500 by its panic instead.
    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Both providers' endpoints under an address.
pub(super) fn endpoints(base: &str) -> Vec<Endpoint> {
    Provider::ALL
        .into_iter()
        .map(|provider| Endpoint {
            source: provider.into(),
            url: format!("{base}/webhooks/{provider}"),
            secret: secret(provider).into(),
        })
        .collect()
}

fn secret(provider: Provider) -> &'static str {
    match provider {
        Provider::Clerk => CLERK_SECRET,
        Provider::Stripe => STRIPE_SECRET,
    }
}

fn verified(source: &str, headers: HeaderMap, body: Bytes) -> Attempt {
    let provider = Provider::ALL
        .into_iter()
        .find(|provider| provider.as_str() == source)
        .unwrap();
    let secrets = [secret(provider).into()];
    // An hour: the tests' clocks may run ahead.
    let tolerance = Duration::from_secs(3600);
    let verifier = Verifier::new(Source::from(provider), &secrets, tolerance).unwrap();
    let received_at = SystemClock.now();
    let claim = verifier.read_claim(&headers, received_at).unwrap();
    let webhook = UnverifiedWebhook {
        claim,
        headers: &headers,
        body,
        received_at,
    };
    let event = verify(&verifier, webhook).unwrap().into_event();
    Attempt { event, headers }
}

/// 202, as ingress answers.
pub(super) fn accepted() -> Response {
    (http::StatusCode::ACCEPTED, r#"{"status":"accepted"}"#).into_response()
}

/// An error in the form that ingress gives it.
pub(super) fn error(status: u16, code: &str) -> Response {
    let status = http::StatusCode::from_u16(status).unwrap();
    let body = serde_json::json!({ "error": { "code": code, "message": "because" } });
    (status, body.to_string()).into_response()
}
