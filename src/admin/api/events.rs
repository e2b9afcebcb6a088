//! What is done to events under `/api/v1/events`: preview, discard, retry, erase.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::acting::Acting;
use super::ledger::Filter;
use super::problem::{ErrorBody, Problem};
use super::request::{Body, Parameters, all_understood};
use crate::model::by_hand::ChangedEvents;
use crate::model::operator::Operator;
use crate::model::retention::Erasure;
use crate::ops::erasure::{self, EraseError};
use crate::ops::events::{self, DiscardError};
use crate::ops::preview::{self, MOST, Preview};
use crate::ops::wanted;

/// Which events to preview.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewRequest {
    /// Which events; none named: all.
    #[serde(default)]
    filter: Filter,
    /// At most this many, the first received first; 1000, or fewer.
    limit: Option<u32>,
    /// Names, addresses and metadata as they are.
    #[serde(default)]
    reveal: bool,
    /// Who looks.
    operator: Option<String>,
}

/// Tells what would change if events were processed again now. Changes nothing.
#[utoipa::path(post, path = "/api/v1/events/preview", tag = "events", request_body = PreviewRequest,
    responses((status = 200, body = Preview), (status = "default", body = ErrorBody)))]
pub(super) async fn preview(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<PreviewRequest>,
) -> Result<Json<Preview>, Problem> {
    said.finish()?;
    let limit = request.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        let problem = format!("limit: write a number from 1 to {MOST}");
        return Err(Problem::invalid(problem));
    }
    let operator = request.operator.as_deref().map(wanted::operator);
    let operator = operator.transpose();
    let wanted = preview::Request {
        filter: request.filter.understood()?,
        limit,
        reveal: request.reveal,
        operator: operator
            .map_err(|problem| Problem::invalid(format!("operator: {problem}")))?
            .unwrap_or_else(Operator::unknown),
    };
    let (store, now) = (desk.store()?, desk.clock.now());
    Ok(Json(
        preview::preview(store, &*desk.decide, wanted, now).await?,
    ))
}

/// Which events, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRequest {
    /// Which events.
    #[serde(default)]
    filter: Filter,
    /// All that it can be done to, as no filter is given.
    #[serde(default)]
    all: bool,
    #[serde(flatten)]
    acting: Acting,
}

/// Gives up on events that failed, wait, are to be tried again or were put aside.
#[utoipa::path(post, path = "/api/v1/events/discard", tag = "events", request_body = ChangeRequest,
    responses((status = 200, body = ChangedEvents), (status = "default", body = ErrorBody)))]
pub(super) async fn discard(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<ChangedEvents>, Problem> {
    said.finish()?;
    let filter = request.filter.understood()?;
    let (operator, mode) = request.acting.understood()?;
    let (store, now) = (desk.store()?, desk.clock.now());
    let done = events::discard(store, &filter, request.all, operator, mode, now).await;
    done.map(Json).map_err(|error| match error {
        DiscardError::Store(error) => Problem::Database(error),
        DiscardError::Unlimited => Problem::invalid(error.to_string()),
    })
}

/// Makes events due now that are to be tried again later.
#[utoipa::path(post, path = "/api/v1/events/retry", tag = "events", request_body = ChangeRequest,
    responses((status = 200, body = ChangedEvents), (status = "default", body = ErrorBody)))]
pub(super) async fn retry(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<ChangedEvents>, Problem> {
    said.finish()?;
    let filter = request.filter.understood()?;
    let (operator, mode) = request.acting.understood()?;
    let now = desk.clock.now();
    Ok(Json(
        events::retry(desk.store()?, &filter, operator, mode, now).await?,
    ))
}

/// Whose payloads to erase, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EraseRequest {
    /// Users, or anything else that events are filed under.
    subjects: Vec<String>,
    #[serde(flatten)]
    acting: Acting,
}

/// Erases the payloads of all events about users, with those of their payments, or about anything else.
#[utoipa::path(post, path = "/api/v1/events/erase", tag = "events", request_body = EraseRequest,
    responses((status = 200, body = Erasure), (status = "default", body = ErrorBody)))]
pub(super) async fn erase(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<EraseRequest>,
) -> Result<Json<Erasure>, Problem> {
    said.finish()?;
    let subjects = all_understood("subjects", &request.subjects, wanted::subject)?;
    if subjects.is_empty() {
        return Err(Problem::invalid("subjects: say whose"));
    }
    let (operator, mode) = request.acting.understood()?;
    let request = erasure::Request {
        subjects: subjects.into_iter().collect(),
        operator,
        mode,
    };
    let done = erasure::erase(desk.store()?, request, desk.clock.now()).await;
    done.map(Json).map_err(|error| match error {
        EraseError::Store(error) => Problem::Database(error),
        EraseError::Traces(_) => Problem::Unavailable(error.to_string()),
    })
}
