//! `/api/v1/failures`: what fails, in groups, and where people stand with each.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::problem::{ErrorBody, Problem};
use super::request::{Body, Parameters};
use super::{Desk, Shared};
use crate::model::failure::{FailureChange, FailureGroup};
use crate::ops::failures::{self, Done, FailureReport};
use crate::ops::wanted;

/// Groups of failures, the most events that fail now first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Groups {
    failures: Vec<FailureGroup>,
}

/// Lists groups of failures, the most events that fail now first.
#[utoipa::path(get, path = "/api/v1/failures", tag = "failures",
    params(("state" = Option<Vec<String>>, Query, description = "In one of these states: open, acknowledged, \
        resolved; without it, those that are not resolved"),
        ("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Groups), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    State(desk): Shared,
    mut said: Parameters,
) -> Result<Json<Groups>, Problem> {
    let states = said.all_parsed("state", wanted::group_state);
    let limit = said.limit();
    said.finish()?;
    let failures = failures::list(desk.store()?, &states, limit).await?;
    Ok(Json(Groups { failures }))
}

/// Shows one group with its newest events.
#[utoipa::path(get, path = "/api/v1/failures/{fingerprint}", tag = "failures",
    params(("fingerprint" = String, Path, description = "What the failures have in common")),
    responses((status = 200, body = FailureReport), (status = "default", body = ErrorBody)))]
pub(super) async fn show(
    State(desk): Shared,
    Path(fingerprint): Path<String>,
    said: Parameters,
) -> Result<Json<FailureReport>, Problem> {
    said.finish()?;
    let fingerprint = wanted::words(&fingerprint).map_err(Problem::invalid)?;
    let found = failures::find(desk.store()?, &fingerprint).await?;
    found
        .map(Json)
        .ok_or_else(|| Problem::NotFound("no failure has this fingerprint".to_owned()))
}

/// Which groups, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRequest {
    /// Their fingerprints.
    fingerprints: Vec<String>,
    #[serde(flatten)]
    acting: Acting,
}

/// Says that somebody is on them.
#[utoipa::path(post, path = "/api/v1/failures/acknowledge", tag = "failures",
    request_body = ChangeRequest,
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(super) async fn acknowledge(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<Done>, Problem> {
    said.finish()?;
    change(&desk, FailureChange::Acknowledge, request).await
}

/// Says that they should not come again. A group that does is open again.
#[utoipa::path(post, path = "/api/v1/failures/resolve", tag = "failures",
    request_body = ChangeRequest,
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(super) async fn resolve(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<Done>, Problem> {
    said.finish()?;
    change(&desk, FailureChange::Resolve, request).await
}

/// Says that somebody should look again.
#[utoipa::path(post, path = "/api/v1/failures/reopen", tag = "failures",
    request_body = ChangeRequest,
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(super) async fn reopen(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<Done>, Problem> {
    said.finish()?;
    change(&desk, FailureChange::Reopen, request).await
}

async fn change(
    desk: &Desk,
    change: FailureChange,
    request: ChangeRequest,
) -> Result<Json<Done>, Problem> {
    if request.fingerprints.is_empty() {
        return Err(Problem::invalid("fingerprints: say which"));
    }
    for fingerprint in &request.fingerprints {
        wanted::words(fingerprint).map_err(Problem::invalid)?;
    }
    let (operator, mode) = request.acting.understood()?;
    let now = desk.clock.now();
    let done = failures::change(
        desk.store()?,
        change,
        request.fingerprints,
        operator,
        mode,
        now,
    );
    Ok(Json(done.await?))
}
