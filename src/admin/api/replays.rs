//! `/api/v1/replays`: events that are processed again.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::acting::Acting;
use super::ledger::Filter;
use super::problem::{ErrorBody, Problem};
use super::request::{Body, Parameters};
use crate::model::ledger::EventFilter;
use crate::model::replay::{
    CancelledReplay, Replay, ReplayId, ReplayOrder, ReplayRate, ReplayScope, ReplayedEvent,
};
use crate::ops::replays::{self, Ordered, ReplayError, Status};
use crate::ops::wanted;

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Database(error),
            ReplayError::Unknown(_) => Self::NotFound(error.to_string()),
        }
    }
}

fn replay(id: &str) -> Result<ReplayId, Problem> {
    wanted::replay(id).map_err(Problem::invalid)
}

/// Which events to process again, how fast, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderRequest {
    /// Which events.
    #[serde(default)]
    filter: Filter,
    /// All events, as no filter is given.
    #[serde(default)]
    all: bool,
    /// At most this many: those that were received first.
    limit: Option<u32>,
    /// Events in a second, 1 to 1000; without it, 50.
    rate: Option<u32>,
    #[serde(flatten)]
    acting: Acting,
}

/// Plans a replay, or starts it. It runs in the workers.
#[utoipa::path(post, path = "/api/v1/replays", tag = "replays", request_body = OrderRequest,
    responses((status = 200, body = Ordered), (status = "default", body = ErrorBody)))]
pub(super) async fn order(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<OrderRequest>,
) -> Result<Json<Ordered>, Problem> {
    said.finish()?;
    let filter = request.filter.understood()?;
    if (filter == EventFilter::default()) != request.all {
        return Err(Problem::invalid(
            "say which events: a filter, or all (and not both)",
        ));
    }
    let rate = request.rate.map(wanted::replay_rate).transpose();
    let rate = rate.map_err(|problem| Problem::invalid(format!("rate: {problem}")))?;
    let (operator, mode) = request.acting.understood()?;
    let order = ReplayOrder {
        scope: ReplayScope {
            filter,
            limit: request.limit,
        },
        rate: rate.unwrap_or(ReplayRate::DEFAULT),
        operator,
    };
    let now = desk.clock.now();
    Ok(Json(
        replays::order(desk.store()?, &order, &mode, now).await?,
    ))
}

/// Replays, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replays {
    replays: Vec<Replay>,
}

/// Lists replays, newest first.
#[utoipa::path(get, path = "/api/v1/replays", tag = "replays",
    params(("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Replays), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    State(desk): Shared,
    mut said: Parameters,
) -> Result<Json<Replays>, Problem> {
    let limit = said.limit();
    said.finish()?;
    let replays = replays::list(desk.store()?, limit).await?;
    Ok(Json(Replays { replays }))
}

/// Tells how far a replay is, and what came of it.
#[utoipa::path(get, path = "/api/v1/replays/{id}", tag = "replays",
    params(("id" = i64, Path, description = "The number of the replay")),
    responses((status = 200, body = Status), (status = "default", body = ErrorBody)))]
pub(super) async fn status(
    State(desk): Shared,
    Path(id): Path<String>,
    said: Parameters,
) -> Result<Json<Status>, Problem> {
    said.finish()?;
    let id = replay(&id)?;
    Ok(Json(
        replays::status(desk.store()?, id, desk.clock.now()).await?,
    ))
}

/// The events of a replay, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayedEvents {
    events: Vec<ReplayedEvent>,
}

/// Lists the events of a replay with what came of each.
#[utoipa::path(get, path = "/api/v1/replays/{id}/events", tag = "replays",
    params(("id" = i64, Path, description = "The number of the replay"),
        ("after" = Option<u32>, Query, description = "Those behind this position: the last one of the page \
            before"),
        ("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = ReplayedEvents), (status = "default", body = ErrorBody)))]
pub(super) async fn events(
    State(desk): Shared,
    Path(id): Path<String>,
    mut said: Parameters,
) -> Result<Json<ReplayedEvents>, Problem> {
    let after = said.number("after", 0..=u32::MAX).unwrap_or_default();
    let limit = said.limit();
    said.finish()?;
    let events = replays::events(desk.store()?, replay(&id)?, after.into(), limit).await?;
    Ok(Json(ReplayedEvents { events }))
}

/// Ends a replay: what was not processed until then will not be.
#[utoipa::path(post, path = "/api/v1/replays/{id}/cancel", tag = "replays", request_body = Acting,
    params(("id" = i64, Path, description = "The number of the replay")),
    responses((status = 200, body = CancelledReplay), (status = "default", body = ErrorBody)))]
pub(super) async fn cancel(
    State(desk): Shared,
    Path(id): Path<String>,
    said: Parameters,
    Body(acting): Body<Acting>,
) -> Result<Json<CancelledReplay>, Problem> {
    said.finish()?;
    let id = replay(&id)?;
    let (operator, mode) = acting.understood()?;
    let now = desk.clock.now();
    Ok(Json(
        replays::cancel(desk.store()?, id, &operator, &mode, now).await?,
    ))
}
