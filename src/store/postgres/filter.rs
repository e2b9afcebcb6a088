//! Which events are meant, in SQL.

use sqlx::{Postgres, QueryBuilder};

use super::rows::{column, stored};
use crate::model::event::EventId;
use crate::model::ledger::EventFilter;

/// Appends what must hold to a statement on `events` that has a `WHERE` already.
pub(super) fn push(query: &mut QueryBuilder<Postgres>, filter: &EventFilter) {
    push_kind(query, filter);
    push_times(query, filter);
    push_rest(query, filter);
}

/// What must hold of state, source and type.
pub(super) fn push_kind(query: &mut QueryBuilder<Postgres>, filter: &EventFilter) {
    if !filter.states.is_empty() {
        query
            .push(" AND state = ANY(")
            .push_bind(column(&filter.states, |state| state.as_str()))
            .push(")");
    }
    if let Some(source) = &filter.source {
        query.push(" AND source = ").push_bind(source.to_string());
    }
    if let Some(pattern) = &filter.event_type {
        query.push(" AND event_type LIKE ").push_bind(like(pattern));
    }
}

/// What must hold of the time at which events were received.
pub(super) fn push_times(query: &mut QueryBuilder<Postgres>, filter: &EventFilter) {
    if let Some(since) = filter.since {
        query.push(" AND received_at >= ").push_bind(stored(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND received_at < ").push_bind(stored(until));
    }
}

/// What else must hold.
fn push_rest(query: &mut QueryBuilder<Postgres>, filter: &EventFilter) {
    if let Some(subject) = &filter.subject {
        query.push(" AND subject = ").push_bind(subject.clone());
    }
    if !filter.ids.is_empty() {
        query
            .push(" AND event_id = ANY(")
            .push_bind(column(&filter.ids, EventId::to_string))
            .push(")");
    }
    if let Some(fingerprint) = &filter.fingerprint {
        query
            .push(" AND fingerprint = ")
            .push_bind(fingerprint.clone());
    }
    if let Some(text) = &filter.error {
        query
            .push(" AND strpos(lower(last_error), lower(")
            .push_bind(text.clone())
            .push(")) > 0");
    }
}

/// Of a pattern only `*` and `?` are meant; what means something to LIKE is text.
fn like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len() + 8);
    for character in pattern.chars() {
        match character {
            '*' => like.push('%'),
            '?' => like.push('_'),
            '%' | '_' | '\\' => like.extend(['\\', character]),
            _ => like.push(character),
        }
    }
    like
}
