//! What an operator can look at and do, as JSON under `/api/v1`.
//!
//! Every path does what a command does, by the same function of [`ops`](crate::ops): a dry run unless it
//! is told to execute, with a reason, and recorded. `GET /api/v1/openapi.json` describes all of them; it
//! is made from the routes themselves.
//!
//! Guaranteed: an answer in bounded time to a request of bounded size; what a request that was refused
//! asked for is not done. NOT guaranteed: that a change is not done when its answer did not arrive; the
//! record of actions tells.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use utoipa::OpenApi;
use utoipa::openapi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::problem::Problem;
use crate::clock::Clock;
use crate::model::changes::Planned;
use crate::model::event::Event;
use crate::model::ledger::Waiting;
use crate::model::source::Source;
use crate::store::Store;

mod acting;
mod actions;
mod events;
mod failures;
mod ledger;
mod outbox;
mod payments;
mod problem;
mod replays;
mod request;
mod sources;
mod users;

/// How long one answer may take. What lists and plans takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers what the queue holds, or why that is not known.
pub type AskQueue = Box<dyn Fn() -> BoxFuture<'static, Result<Waiting, String>> + Send + Sync>;

/// Says what is to be done about an event.
pub type Decider = Box<dyn Fn(Event) -> Planned + Send + Sync>;

/// What requests are answered from. What this process has no part in is not there.
pub struct Desk {
    /// The database.
    pub store: Option<Arc<dyn Store>>,
    /// What the queue holds.
    pub queue: AskQueue,
    /// The sources that are configured.
    pub sources: Vec<Source>,
    /// What the handlers of this program say of an event.
    pub decide: Decider,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Desk {
    fn store(&self) -> Result<&dyn Store, Problem> {
        self.store.as_deref().ok_or(Problem::NoDatabase)
    }
}

/// What handlers are given.
type Shared = axum::extract::State<Arc<Desk>>;

#[derive(OpenApi)]
#[openapi(info(
    title = "hookmirror",
    description = "What an operator can look at and do. What changes something is a dry run unless \
                   `execute` is true, needs a reason then, and is recorded."
))]
struct Description;

fn described() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(ledger::list))
        .routes(routes!(ledger::show))
        .routes(routes!(ledger::timeline))
        .routes(routes!(ledger::stats))
        .routes(routes!(events::preview))
        .routes(routes!(events::discard))
        .routes(routes!(events::retry))
        .routes(routes!(events::erase))
        .routes(routes!(failures::list))
        .routes(routes!(failures::show))
        .routes(routes!(failures::acknowledge))
        .routes(routes!(failures::resolve))
        .routes(routes!(failures::reopen))
        .routes(routes!(sources::list))
        .routes(routes!(sources::pause))
        .routes(routes!(sources::resume))
        .routes(routes!(replays::list, replays::order))
        .routes(routes!(replays::status))
        .routes(routes!(replays::events))
        .routes(routes!(replays::cancel))
        .routes(routes!(outbox::list))
        .routes(routes!(outbox::show))
        .routes(routes!(outbox::retry))
        .routes(routes!(outbox::discard))
        .routes(routes!(payments::waiting))
        .routes(routes!(payments::attribute))
        .routes(routes!(users::show))
        .routes(routes!(actions::list))
}

/// The description of all paths, as it is served.
pub fn description() -> openapi::OpenApi {
    described().into_openapi()
}

/// The paths under `/api/v1`; it answers all others there too.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    let (router, description) = described().split_for_parts();
    let description = Arc::new(description);
    let served = move || {
        let description = Arc::clone(&description);
        async move { axum::Json(&*description).into_response() }
    };
    router
        .route("/api/v1/openapi.json", get(served))
        .method_not_allowed_fallback(|| ready(Problem::MethodNotAllowed))
        .with_state(desk)
        .layer(from_fn(in_time))
}

/// The answer, if it comes in time, to be kept by nobody.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(PATIENCE, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| Problem::TooSlow.into_response());
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
