//! `/api/v1/sources`: who pushes events, and whether they are processed.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::problem::{ErrorBody, Problem};
use super::request::{Body, Parameters, all_understood};
use super::{Desk, Shared};
use crate::model::pause::SourceChange;
use crate::ops::sources::{self, KnownSource, Report, Request, SourcesError};
use crate::ops::wanted;

impl From<SourcesError> for Problem {
    fn from(error: SourcesError) -> Self {
        match error {
            SourcesError::Store(error) => Self::Database(error),
            SourcesError::Unknown { .. } => Self::NotFound(error.to_string()),
        }
    }
}

/// All sources, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sources {
    sources: Vec<KnownSource>,
}

/// Lists who pushes events: paused or not, the last event, the oldest unapplied one.
#[utoipa::path(get, path = "/api/v1/sources", tag = "sources",
    responses((status = 200, body = Sources), (status = "default", body = ErrorBody)))]
pub(super) async fn list(State(desk): Shared, said: Parameters) -> Result<Json<Sources>, Problem> {
    said.finish()?;
    let sources = sources::list(desk.store()?, &desk.sources).await?;
    Ok(Json(Sources { sources }))
}

/// Which sources, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRequest {
    /// Their names.
    sources: Vec<String>,
    #[serde(flatten)]
    acting: Acting,
}

/// Puts the events of sources aside, without processing them. They go on being accepted.
#[utoipa::path(post, path = "/api/v1/sources/pause", tag = "sources", request_body = ChangeRequest,
    responses((status = 200, body = Report), (status = "default", body = ErrorBody)))]
pub(super) async fn pause(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<Report>, Problem> {
    said.finish()?;
    change(&desk, SourceChange::Pause, request).await
}

/// Processes the events of sources again, those put aside included.
#[utoipa::path(post, path = "/api/v1/sources/resume", tag = "sources", request_body = ChangeRequest,
    responses((status = 200, body = Report), (status = "default", body = ErrorBody)))]
pub(super) async fn resume(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<Report>, Problem> {
    said.finish()?;
    change(&desk, SourceChange::Resume, request).await
}

async fn change(
    desk: &Desk,
    change: SourceChange,
    request: ChangeRequest,
) -> Result<Json<Report>, Problem> {
    let sources = all_understood("sources", &request.sources, wanted::source)?;
    if sources.is_empty() {
        return Err(Problem::invalid("sources: say which"));
    }
    let (operator, mode) = request.acting.understood()?;
    let request = Request {
        change,
        sources,
        operator,
        mode,
    };
    let now = desk.clock.now();
    Ok(Json(
        sources::change(desk.store()?, &desk.sources, request, now).await?,
    ))
}
