//! `/api/v1/outbox`: the metadata that Clerk should hold.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::acting::Acting;
use super::problem::{ErrorBody, Problem};
use super::request::{Body, Parameters, all_understood};
use crate::model::outbox::{DeliveryState, OutboxEntry, OutboxFilter, OutboxRecord};
use crate::ops::outbox::{self, Done, Retried, Summary};
use crate::ops::wanted;

/// How many attempts are told.
const ATTEMPTS: u32 = 50;

/// Entries, the longest desired first, and how much there is in each state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entries {
    entries: Vec<OutboxEntry>,
    summary: Summary,
}

/// Lists what is not delivered, or what is in given states, the longest waiting first.
#[utoipa::path(get, path = "/api/v1/outbox", tag = "outbox",
    params(("state" = Option<Vec<String>>, Query, description = "In one of these states; without it, what \
        waits or is parked"),
        ("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Entries), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    State(desk): Shared,
    mut said: Parameters,
) -> Result<Json<Entries>, Problem> {
    let mut states = said.all_parsed("state", wanted::delivery_state);
    let limit = said.limit();
    said.finish()?;
    if states.is_empty() {
        states = vec![DeliveryState::Pending, DeliveryState::Parked];
    }
    let store = desk.store()?;
    let filter = OutboxFilter {
        states,
        ..OutboxFilter::default()
    };
    Ok(Json(Entries {
        entries: store.list_outbox(&filter, limit).await?,
        summary: outbox::summary(store).await?,
    }))
}

/// Shows what one user should have at Clerk, what was delivered, and every attempt.
#[utoipa::path(get, path = "/api/v1/outbox/{user}", tag = "outbox",
    params(("user" = String, Path, description = "Clerk's user id")),
    responses((status = 200, body = OutboxRecord), (status = "default", body = ErrorBody)))]
pub(super) async fn show(
    State(desk): Shared,
    Path(user): Path<String>,
    said: Parameters,
) -> Result<Json<OutboxRecord>, Problem> {
    said.finish()?;
    let user = wanted::user(&user).map_err(Problem::invalid)?;
    let record = desk.store()?.find_outbox(&user, ATTEMPTS).await?;
    record.map(Json).ok_or_else(|| {
        Problem::NotFound(format!(
            "the outbox has nothing for {user}: no payment of that user is known"
        ))
    })
}

/// Which entries to send again, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryRequest {
    /// Those of these users, whatever state they are in.
    #[serde(default)]
    users: Vec<String>,
    /// All in this state: `pending`, `parked`, `user_gone` or `discarded`.
    state: Option<String>,
    /// All that wait or are parked.
    #[serde(default)]
    all: bool,
    #[serde(flatten)]
    acting: Acting,
}

/// Makes entries due now.
#[utoipa::path(post, path = "/api/v1/outbox/retry", tag = "outbox", request_body = RetryRequest,
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(super) async fn retry(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<RetryRequest>,
) -> Result<Json<Done>, Problem> {
    said.finish()?;
    let what = match (request.users.is_empty(), request.state, request.all) {
        (false, None, false) => {
            Retried::Users(all_understood("users", &request.users, wanted::user)?)
        }
        (true, Some(state), false) => {
            let state = wanted::retried_state(&state);
            Retried::State(state.map_err(|problem| Problem::invalid(format!("state: {problem}")))?)
        }
        (true, None, true) => Retried::All,
        _ => return Err(Problem::invalid("say which: users, a state, or all")),
    };
    let (operator, mode) = request.acting.understood()?;
    let now = desk.clock.now();
    Ok(Json(
        outbox::retry(desk.store()?, what, operator, mode, now).await?,
    ))
}

/// Whose metadata to give up on, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardRequest {
    /// These users'.
    users: Vec<String>,
    #[serde(flatten)]
    acting: Acting,
}

/// Gives up on what waits or is parked for these users.
#[utoipa::path(post, path = "/api/v1/outbox/discard", tag = "outbox", request_body = DiscardRequest,
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(super) async fn discard(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<DiscardRequest>,
) -> Result<Json<Done>, Problem> {
    said.finish()?;
    let users = all_understood("users", &request.users, wanted::user)?;
    if users.is_empty() {
        return Err(Problem::invalid("say which users"));
    }
    let (operator, mode) = request.acting.understood()?;
    let now = desk.clock.now();
    Ok(Json(
        outbox::discard(desk.store()?, users, operator, mode, now).await?,
    ))
}
