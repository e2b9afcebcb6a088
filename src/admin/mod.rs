//! The private listener: what a monitoring system asks.
//!
//! Actors: [`router`] answers `GET /metrics` and `GET /livez`; `access` lets only those in who know the
//! token, where there is one; [`Figures`] reads what is to be told.
//!
//! Guaranteed: an answer in bounded time, whatever the database does; what cannot be read is left out,
//! and counted. However often somebody asks, the database is read once in a few seconds, and less often
//! if it is slow to answer. NOT guaranteed: that the figures of one page are of the same moment, or that
//! figures are there for what this process has no part in: one without the database cannot tell what is
//! in it.
//!
//! Who may connect is decided by where it listens: on this machine only, unless there is a token
//! (checked with the settings). TLS ends in front of it, as with the public one.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use secrecy::SecretString;

pub use self::figures::{Figures, QueueDepth, Sources, SpoolDepth};

mod access;
mod figures;
mod page;

/// What Prometheus calls the format of [`page`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a process that runs says of itself.
pub const ALIVE: &str = "alive\n";

/// The private routes. Complete in itself: it answers every path and method.
pub fn router(figures: Arc<Figures>, token: Option<&SecretString>) -> Router {
    let private = Router::new()
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .with_state(figures);
    let private = match token {
        Some(token) => access::only_with(token, private),
        None => private,
    };
    // Depends on nothing, and tells nothing: for those who watch whether the process runs.
    private.route("/livez", get(alive))
}

async fn alive() -> &'static str {
    ALIVE
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such page; there is /metrics\n").into_response()
}

async fn metrics(State(figures): State<Arc<Figures>>) -> Response {
    let format = [(header::CONTENT_TYPE, OPEN_METRICS)];
    match page::write(&figures.read().await) {
        Ok(page) => (format, page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
