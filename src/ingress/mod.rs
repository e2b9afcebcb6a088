//! The front door: takes webhooks from anyone on the network, lets in what a provider has signed,
//! and answers only for what is durable.
//!
//! Actors: [`serve`] owns the listener and its connections. [`router`] maps requests to handlers.
//! The one webhook handler (`webhook`) asks the [`Verifier`] of the source, reads the body within
//! bounds (`body`) and hands the event to the [`Publisher`]. Every refusal is a row of one table
//! (`error`).
//!
//! - **A 202 leaves only after the queue has confirmed the event** (promise P1): the function that
//!   builds it takes the [`Confirmed`](crate::queue::Confirmed) by value.
//! - **Only verified bytes reach the queue, and exactly those** (promise P2). What the headers alone
//!   condemn is refused before a byte of the body is read.
//! - No request holds memory or a connection longer than its [`Limits`] say, and all requests
//!   together buffer no more than one budget. A request that does not fit is refused, not queued.
//! - NOT guaranteed: that an event which was answered with 503 is absent from the queue; the
//!   provider's retry may make it a duplicate. The same holds when the sender hangs up early.
//! - Who occupies a connection or memory without completing a request gives way to who comes later
//!   (`seats`, `budget`).
//! - NOT guaranteed: fairness between senders. Someone with enough of a network can open connections
//!   faster than they are served. Rate limits by address belong to the proxy in front, which alone knows
//!   the address.
//!
//! No database is on this path, and no configuration: what is needed comes in [`IngressState`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};

use crate::clock::Clock;
use crate::metrics::{IngressMetrics, SourceMetrics};
use crate::model::source::SourceName;
use crate::provider::Verifier;
use crate::queue::Publisher;
use crate::traces::Traces;

mod body;
mod budget;
mod error;
mod health;
mod seats;
mod server;
mod webhook;

pub use server::serve;

/// How much the front door takes on at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body that is taken; a larger one gets 413.
    pub max_body_bytes: usize,
    /// How many bytes of bodies all requests together may hold until they are answered. When it is
    /// used up, the body that has been arriving the longest gets 503. Counts bytes that have arrived, not
    /// bytes that were announced. Never less than one body of the largest size.
    pub max_buffered_bytes: usize,
    /// How long a body may take to arrive, from the end of the headers to its last byte.
    pub request_timeout: Duration,
    /// How long the queue may take to confirm an event, or to prove that it is ready.
    pub confirm_timeout: Duration,
    /// How long headers may take to arrive, and how long a kept connection may stay idle. A proxy in
    /// front must close its idle connections sooner, or it will now and then send a request into a
    /// closing one.
    pub header_timeout: Duration,
    /// How many connections are served at once. When another one comes, the one whose peer has kept us
    /// waiting the longest is closed, unless that is but a moment; until then the new one is held
    /// unserved, and further ones wait in the listener's backlog.
    pub max_connections: usize,
    /// After this time a connection is closed at the end of its current request, whatever the other
    /// side does: it also frees the slot of one that sends requests and never reads the answers.
    pub connection_age: Duration,
    /// How long requests in flight may take to finish after the shutdown was asked for.
    pub shutdown_grace: Duration,
}

impl Limits {
    /// The longest that an honest request can take from its first byte to its answer.
    fn longest_request(&self) -> Duration {
        self.header_timeout
            .saturating_add(self.request_timeout)
            .saturating_add(self.confirm_timeout)
    }
}

impl Default for Limits {
    /// Body and confirm together fit into the 15 seconds that Svix waits for an answer; the
    /// connections leave half of the usual 1024 file descriptors to the rest of the process.
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            max_buffered_bytes: 64 * 1024 * 1024,
            request_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(75),
            max_connections: 512,
            connection_age: Duration::from_secs(600),
            shutdown_grace: Duration::from_secs(20),
        }
    }
}

/// All that the handlers need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct IngressState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    verifiers: Vec<Verifier>,
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    budget: budget::Budget,
    readiness: health::Readiness,
    alike: error::Alike,
    metrics: IngressMetrics,
    traces: Traces,
}

impl IngressState {
    /// The sources that exist, one verifier each, and where their events go.
    pub fn new(
        verifiers: Vec<Verifier>,
        publisher: Arc<dyn Publisher>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        traces: Traces,
    ) -> Self {
        let counted = verifiers.iter();
        let counted = counted.map(|verifier| (&verifier.source().name, verifier.secret_labels()));
        let metrics = IngressMetrics::new(counted, &error::OUTCOMES);
        let budget = limits.max_buffered_bytes.max(limits.max_body_bytes);
        Self(Arc::new(Shared {
            verifiers,
            publisher,
            clock,
            limits,
            budget: budget::Budget::new(budget),
            readiness: health::Readiness::default(),
            alike: error::Alike::default(),
            metrics,
            traces,
        }))
    }

    /// What is counted here.
    pub fn metrics(&self) -> IngressMetrics {
        self.0.metrics.clone()
    }

    /// The figures of a source; of all that are not configured together.
    fn counts(&self, name: Option<&SourceName>) -> &SourceMetrics {
        self.0.metrics.source(self.place(name))
    }

    /// Where a source is among those that are configured.
    fn place(&self, name: Option<&SourceName>) -> Option<usize> {
        let mut verifiers = self.0.verifiers.iter();
        verifiers.position(|verifier| Some(&verifier.source().name) == name)
    }

    /// The verifier of a source, if there is such a source and it has a secret.
    fn verifier(&self, name: Option<&SourceName>) -> Result<&Verifier, error::Refusal> {
        let verifier = self
            .0
            .verifiers
            .iter()
            .find(|verifier| Some(&verifier.source().name) == name)
            .ok_or(error::Refusal::UnknownSource)?;
        if !verifier.is_configured() {
            return Err(error::Refusal::SourceNotConfigured);
        }
        Ok(verifier)
    }
}

/// The public routes. Complete in itself: it catches panics and answers every path and method.
pub fn router(state: IngressState) -> Router {
    Router::new()
        .route(
            "/webhooks/{source}",
            post(webhook::receive)
                .get(webhook::describe)
                .fallback(error::webhook_method_not_allowed),
        )
        .route(
            "/livez",
            get(health::alive).fallback(error::health_method_not_allowed),
        )
        .route(
            "/readyz",
            get(health::ready).fallback(error::health_method_not_allowed),
        )
        .fallback(error::not_found)
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            error::catch_panic,
        ))
        .with_state(state)
}
