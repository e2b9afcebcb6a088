//! The private listener without its socket, and what it answers.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use futures_util::FutureExt;
use hookmirror::admin::{Desk, Figures, Sources, router};
use hookmirror::model::ledger::Waiting;
use hookmirror::model::source::{Provider, Source};
use hookmirror::store::Store;
use hookmirror::worker;
use http::{Method, Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use crate::support::clock::FixedClock;
use crate::support::given::at;

pub(crate) const TOKEN: &str = "a token that nobody guesses";
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

pub(crate) struct Door(TowerToHyperService<Router>);

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Door {
    /// One that asks for no token.
    pub(crate) fn of(store: Option<Arc<dyn Store>>) -> Self {
        Self::with_token(store, None)
    }

    pub(crate) fn with_token(store: Option<Arc<dyn Store>>, token: Option<&str>) -> Self {
        let clock = Arc::new(FixedClock(at(1000)));
        let figures = Figures::new(Sources {
            store: store.clone(),
            names: vec![Provider::Clerk.into()],
            counted: Vec::new(),
            oldest: Box::new(|| None),
            queues: Box::new(Vec::new),
            spool: Box::new(|| None),
            dispatchers: Vec::new(),
            clock: clock.clone(),
        });
        let desk = Desk {
            store,
            queue: Box::new(|| async { Ok(Waiting::default()) }.boxed()),
            sources: Provider::ALL.into_iter().map(Source::from).collect(),
            decide: Box::new(|event| {
                worker::decide(
                    &Provider::ALL.into_iter().map(Source::from).collect(),
                    event,
                )
            }),
            clock,
        };
        let token = token.map(Into::into);
        Self(TowerToHyperService::new(router(
            Arc::new(figures),
            desk,
            token.as_ref(),
        )))
    }

    pub(crate) fn service(&self) -> &TowerToHyperService<Router> {
        &self.0
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.0.call(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), LARGEST_ANSWER)
            .await
            .unwrap();
        Answer {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8(bytes.into()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).body(Body::empty()).unwrap();
        self.ask(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(post(path, body)).await
    }
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into())
        .unwrap()
}

impl Answer {
    /// The stable word of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
}
