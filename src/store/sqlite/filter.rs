//! Which events are meant, in SQL.

use sqlx::{QueryBuilder, Sqlite};

use super::rows::json_list;
use crate::model::event::EventId;
use crate::model::ledger::EventFilter;

/// Appends what must hold to a statement on `events` that has a `WHERE` already.
pub(super) fn push(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    push_kind(query, filter);
    push_times(query, filter);
    push_rest(query, filter);
}

/// What must hold of state, source and type.
pub(super) fn push_kind(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    if !filter.states.is_empty() {
        query
            .push(" AND state IN (SELECT value FROM json_each(")
            .push_bind(json_list(filter.states.iter().map(|state| state.as_str())))
            .push("))");
    }
    if let Some(source) = &filter.source {
        query.push(" AND source = ").push_bind(source.to_string());
    }
    if let Some(pattern) = &filter.event_type {
        // Of SQLite's own pattern characters only `*` and `?` are meant.
        query
            .push(" AND event_type GLOB ")
            .push_bind(pattern.replace('[', "[[]"));
    }
}

/// What must hold of the time at which events were received.
pub(super) fn push_times(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    if let Some(since) = filter.since {
        query
            .push(" AND received_at >= ")
            .push_bind(since.to_string());
    }
    if let Some(until) = filter.until {
        query
            .push(" AND received_at < ")
            .push_bind(until.to_string());
    }
}

/// What else must hold.
fn push_rest(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    if let Some(subject) = &filter.subject {
        query.push(" AND subject = ").push_bind(subject.clone());
    }
    if !filter.ids.is_empty() {
        query
            .push(" AND event_id IN (SELECT value FROM json_each(")
            .push_bind(json_list(filter.ids.iter().map(EventId::as_str)))
            .push("))");
    }
    if let Some(fingerprint) = &filter.fingerprint {
        query
            .push(" AND fingerprint = ")
            .push_bind(fingerprint.clone());
    }
    if let Some(text) = &filter.error {
        query
            .push(" AND instr(lower(last_error), lower(")
            .push_bind(text.clone())
            .push(")) > 0");
    }
}
