//! `/api/v1/events` and `/api/v1/stats`: what was received and what became of it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::problem::{ErrorBody, Problem};
use super::request::Parameters;
use crate::model::ledger::{EventFilter, EventSummary};
use crate::ops::account::{Account, account};
use crate::ops::wanted;

/// Which events. Everything given must hold.
#[derive(Debug, Default, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// In one of these states.
    state: Vec<String>,
    /// From this source.
    source: Option<String>,
    /// Of a type like this; `*` stands for any text, `?` for any character.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// About this subject, such as `user_…` or `cs_…`.
    subject: Option<String>,
    /// Received at this time or later: RFC 3339, or a date.
    since: Option<String>,
    /// Received before this time.
    until: Option<String>,
    /// With one of these ids.
    id: Vec<String>,
    /// Failing in this way.
    fingerprint: Option<String>,
    /// With this text in the last error.
    error: Option<String>,
}

impl Filter {
    /// The same, said in a body.
    pub(super) fn understood(self) -> Result<EventFilter, Problem> {
        let mut said = Parameters::of([
            ("source", self.source),
            ("type", self.event_type),
            ("subject", self.subject),
            ("since", self.since),
            ("until", self.until),
            ("fingerprint", self.fingerprint),
            ("error", self.error),
        ]);
        said.add("state", self.state);
        said.add("id", self.id);
        let filter = filter(&mut said);
        said.finish()?;
        Ok(filter)
    }
}

/// Which events are meant.
pub(super) fn filter(said: &mut Parameters) -> EventFilter {
    EventFilter {
        states: said.all_parsed("state", wanted::state),
        source: said.parsed("source", wanted::source),
        event_type: said.one("type"),
        subject: said.one("subject"),
        since: said.parsed("since", wanted::time),
        until: said.parsed("until", wanted::time),
        ids: said.all_parsed("id", wanted::event_id),
        fingerprint: said.one("fingerprint"),
        error: said.one("error"),
    }
}

/// Events, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Events {
    events: Vec<EventSummary>,
}

/// Lists events, newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(Filter, ("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Events), (status = "default", body = ErrorBody)))]
pub(super) async fn list(
    State(desk): Shared,
    mut said: Parameters,
) -> Result<Json<Events>, Problem> {
    let filter = filter(&mut said);
    let limit = said.limit();
    said.finish()?;
    let events = desk.store()?.list_events(&filter, limit).await?;
    Ok(Json(Events { events }))
}

/// Accounts for all events: accepted = sum of states + still queued.
#[utoipa::path(get, path = "/api/v1/stats", tag = "events",
    responses((status = 200, body = Account), (status = "default", body = ErrorBody)))]
pub(super) async fn stats(State(desk): Shared, said: Parameters) -> Result<Json<Account>, Problem> {
    said.finish()?;
    let store = desk.store()?;
    let waiting = (desk.queue)().await.map_err(Problem::Unavailable)?;
    Ok(Json(account(store, waiting).await?))
}
