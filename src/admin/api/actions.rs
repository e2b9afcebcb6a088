//! `/api/v1/actions`: what operators did and looked at.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{ErrorBody, Problem};
use super::request::Parameters;
use crate::model::operator::ActionRecord;

/// Actions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Actions {
    actions: Vec<ActionRecord>,
}

/// Lists what operators did, dry runs too, newest first.
#[utoipa::path(get, path = "/api/v1/actions", tag = "actions",
    params(("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Actions), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    State(desk): Shared,
    mut said: Parameters,
) -> Result<Json<Actions>, Problem> {
    let limit = said.limit();
    said.finish()?;
    let actions = desk.store()?.operator_actions(limit).await?;
    Ok(Json(Actions { actions }))
}
