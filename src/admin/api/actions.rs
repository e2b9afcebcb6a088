//! `/api/v1/actions`: what operators did and looked at.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{ErrorBody, Problem};
use super::request::Parameters;
use crate::model::operator::{ActionFilter, ActionRecord};
use crate::ops::wanted;

/// Actions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Actions {
    actions: Vec<ActionRecord>,
}

/// Lists what operators did, dry runs too, newest first.
#[utoipa::path(get, path = "/api/v1/actions", tag = "actions",
    params(("operator" = Option<String>, Query, description = "Of this person"),
        ("action" = Option<String>, Query, description = "Of this kind, as the command is called"),
        ("after" = Option<u32>, Query, description = "Recorded before this one, by its id"),
        ("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Actions), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    State(desk): Shared,
    mut said: Parameters,
) -> Result<Json<Actions>, Problem> {
    let filter = ActionFilter {
        before: said.number("after", 1..=u32::MAX).map(i64::from),
        operator: said.parsed("operator", wanted::operator),
        action: said.one("action"),
    };
    let limit = said.limit();
    said.finish()?;
    let actions = desk.store()?.list_actions(&filter, limit).await?;
    Ok(Json(Actions { actions }))
}
