//! `/api/v1/events`, `/api/v1/timeline` and `/api/v1/stats`: what was received and what became of it.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{ErrorBody, Problem};
use super::request::Parameters;
use crate::model::event::EventKey;
use crate::model::ledger::EventFilter;
use crate::model::timeline::Timeline;
use crate::ops::account::{Account, account};
use crate::ops::find::{self, Page, PageError};
use crate::ops::show::{self, EventReport};
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
        event_type: said.parsed("type", wanted::words),
        subject: said.parsed("subject", wanted::subject),
        since: said.parsed("since", wanted::time),
        until: said.parsed("until", wanted::time),
        ids: said.all_parsed("id", wanted::event_id),
        fingerprint: said.parsed("fingerprint", wanted::words),
        error: said.parsed("error", wanted::words),
    }
}

/// Lists events, newest first, page by page.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(Filter,
        ("after" = Option<String>, Query, description = "Those after this event, `SOURCE/ID`: `next` of the \
            page before"),
        ("limit" = Option<u32>, Query, description = "At most this many; 50, or up to 1000")),
    responses((status = 200, body = Page), (status = "default", body = ErrorBody)))]
pub(super) async fn list(State(desk): Shared, mut said: Parameters) -> Result<Json<Page>, Problem> {
    let filter = filter(&mut said);
    let after = said.parsed("after", wanted::event);
    let limit = said.limit();
    said.finish()?;
    let page = find::page(desk.store()?, &filter, after, limit).await;
    page.map(Json).map_err(|error| match error {
        PageError::Store(error) => Problem::Database(error),
        PageError::UnknownPlace(_) => Problem::invalid(format!("after: {error}")),
    })
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

/// Shows one event in full: every attempt, the error, its replays, and its payload, masked.
#[utoipa::path(get, path = "/api/v1/events/{source}/{id}", tag = "events",
    params(("source" = String, Path, description = "Where it came from"),
        ("id" = String, Path, description = "The provider's id of it"),
        ("reveal" = Option<bool>, Query, description = "The payload as it is, personal data and all")),
    responses((status = 200, body = EventReport), (status = "default", body = ErrorBody)))]
pub(super) async fn show(
    State(desk): Shared,
    Path((source, id)): Path<(String, String)>,
    mut said: Parameters,
) -> Result<Json<EventReport>, Problem> {
    let reveal = said.flag("reveal");
    said.finish()?;
    let key = EventKey {
        source: wanted::source(&source).map_err(Problem::invalid)?,
        id: wanted::event_id(&id).map_err(Problem::invalid)?,
    };
    let report = show::show(desk.store()?, &key, reveal).await?;
    report.map(Json).ok_or_else(|| {
        Problem::NotFound(format!(
            "the ledger has no event {key}: it was not accepted here, or is still queued"
        ))
    })
}

/// Tells what happened to a user or a payment, from any of its ids, in the order of time.
#[utoipa::path(get, path = "/api/v1/timeline/{subject}", tag = "events",
    params(("subject" = String, Path, description = "user_…, cus_…, cs_…, sub_…, pi_…, in_…, ch_…, re_… or dp_…"),
        ("limit" = Option<u32>, Query, description = "The newest so many entries; 50, or up to 1000")),
    responses((status = 200, body = Timeline), (status = "default", body = ErrorBody)))]
pub(super) async fn timeline(
    State(desk): Shared,
    Path(subject): Path<String>,
    mut said: Parameters,
) -> Result<Json<Timeline>, Problem> {
    let limit = said.limit();
    said.finish()?;
    let subject = wanted::subject(&subject).map_err(Problem::invalid)?;
    Ok(Json(find::timeline(desk.store()?, &subject, limit).await?))
}
