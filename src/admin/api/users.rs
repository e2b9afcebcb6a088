//! `/api/v1/users`: what is mirrored, paid and delivered.

use axum::Json;
use axum::extract::{Path, State};

use super::Shared;
use super::problem::{ErrorBody, Problem};
use super::request::Parameters;
use crate::model::ledger::UserReport;
use crate::ops::wanted;

/// Shows one user: the mirror, the payment facts, the verdict and its delivery. Holds personal data.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "Clerk's user id")),
    responses((status = 200, body = UserReport), (status = "default", body = ErrorBody)))]
pub(super) async fn show(
    State(desk): Shared,
    Path(user): Path<String>,
    said: Parameters,
) -> Result<Json<UserReport>, Problem> {
    said.finish()?;
    let user = wanted::user(&user).map_err(Problem::invalid)?;
    let report = desk.store()?.find_user(&user).await?;
    report.map(Json).ok_or_else(|| {
        Problem::NotFound(format!(
            "nothing is known of {user}: no event about such a user was applied"
        ))
    })
}
