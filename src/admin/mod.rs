//! The private listener: what a monitoring system asks, and what an operator does.
//!
//! Actors: [`router`] answers `GET /metrics`, `GET /livez` and everything under `/api/v1` ([`api`]);
//! `access` lets only those in who know the token, where there is one; [`Figures`] reads what is to be
//! told.
//!
//! Guaranteed: an answer in bounded time, whatever the database does; what cannot be read is left out of
//! the metrics, and counted. However often somebody asks for them, the database is read once in a few
//! seconds, and less often if it is slow to answer. NOT guaranteed: that the figures of one page are of
//! the same moment, or that figures are there for what this process has no part in: one without the
//! database cannot tell what is in it.
//!
//! Who may connect is decided by where it listens: on this machine only, unless there is a token
//! (checked with the settings). TLS ends in front of it, as with the public one.

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use secrecy::SecretString;

pub use self::api::Desk;
use self::api::Problem;
pub use self::figures::{Figures, QueueDepth, Sources, SpoolDepth};

mod access;
pub mod api;
mod figures;
mod page;

/// What Prometheus calls the format of [`page`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a process that runs says of itself.
pub const ALIVE: &str = "alive\n";

/// The private routes. Complete in itself: it answers every path and method.
pub fn router(figures: Arc<Figures>, desk: Desk, token: Option<&SecretString>) -> Router {
    let private = Router::new()
        .route("/metrics", get(metrics))
        .with_state(figures)
        .merge(api::routes(Arc::new(desk)))
        .fallback(|| ready(not_found()));
    let private = match token {
        Some(token) => access::only_with(token, private),
        None => access::only_by_own_name(private),
    };
    // Depends on nothing, and tells nothing: for those who watch whether the process runs.
    private.route("/livez", get(|| ready(ALIVE)))
}

fn not_found() -> Problem {
    Problem::NotFound("no such page; there are /metrics and /api/v1/openapi.json".to_owned())
}

async fn metrics(State(figures): State<Arc<Figures>>) -> Response {
    let format = [(header::CONTENT_TYPE, OPEN_METRICS)];
    match page::write(&figures.read().await) {
        Ok(page) => (format, page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
