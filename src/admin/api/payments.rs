//! `/api/v1/payments`: payments whose user is not known, or not the right one.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::acting::Acting;
use super::problem::{ErrorBody, Problem};
use super::request::{Body, Parameters};
use crate::model::payment::WaitingPayment;
use crate::ops::payments::{self, AttributeError, Report, Request};
use crate::ops::wanted;

/// Payments, the longest waiting first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Payments {
    payments: Vec<WaitingPayment>,
}

/// Lists payments whose user no event has told, the longest waiting first.
#[utoipa::path(get, path = "/api/v1/payments/waiting", tag = "payments",
    params(("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Payments), (status = "default", body = ErrorBody)))]
pub(super) async fn waiting(
    State(desk): Shared,
    mut said: Parameters,
) -> Result<Json<Payments>, Problem> {
    let limit = said.limit();
    said.finish()?;
    let payments = desk.store()?.waiting_payments(limit).await?;
    Ok(Json(Payments { payments }))
}

/// Which payment is whose, and whether for real.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AttributeRequest {
    /// A Checkout Session or a subscription, by Stripe's id.
    payment: String,
    /// Whose it is to be, by Clerk's id.
    user: String,
    /// Whether it may be taken from somebody.
    #[serde(default)]
    reassign: bool,
    /// Whether the user need not be mirrored.
    #[serde(default)]
    unmirrored: bool,
    #[serde(flatten)]
    acting: Acting,
}

/// Gives a payment to a user, with all that follows.
#[utoipa::path(post, path = "/api/v1/payments/attribute", tag = "payments",
    request_body = AttributeRequest,
    responses((status = 200, body = Report), (status = "default", body = ErrorBody)))]
pub(super) async fn attribute(
    State(desk): Shared,
    said: Parameters,
    Body(request): Body<AttributeRequest>,
) -> Result<Json<Report>, Problem> {
    said.finish()?;
    let named = |name: &'static str| move |problem| Problem::invalid(format!("{name}: {problem}"));
    let payment = wanted::payment(&request.payment).map_err(named("payment"))?;
    let user = wanted::clerk_user(&request.user).map_err(named("user"))?;
    let (operator, mode) = request.acting.understood()?;
    let request = Request {
        payment,
        user,
        reassign: request.reassign,
        unmirrored: request.unmirrored,
        operator,
        mode,
    };
    let report = payments::attribute(desk.store()?, request, desk.clock.now()).await;
    report.map(Json).map_err(|error| match error {
        AttributeError::Store(error) => Problem::Database(error),
        AttributeError::Unknown(_) => Problem::NotFound(error.to_string()),
        AttributeError::Owned { .. }
        | AttributeError::NotMirrored(_)
        | AttributeError::Deleted { .. }
        | AttributeError::Overtaken { .. } => Problem::Conflict(error.to_string()),
    })
}
