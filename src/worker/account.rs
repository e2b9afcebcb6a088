//! What is counted of a batch.

use std::collections::BTreeMap;

use super::away::Committed;
use crate::handlers;
use crate::metrics::WorkerMetrics;
use crate::model::changes::{Applied, Outcome, Planned};
use crate::model::event::Trigger;
use crate::model::source::{SourceName, Sources};
use crate::model::state::EventState;

/// Counts a committed batch. `sources` are those that are configured.
pub(super) fn count(
    metrics: &WorkerMetrics,
    sources: &Sources,
    planned: &[Planned],
    committed: &Committed,
) {
    metrics.committed(planned.len(), committed.took);
    let mut ways: BTreeMap<_, u64> = BTreeMap::new();
    for (planned, applied) in planned.iter().zip(&committed.applied) {
        let event = &planned.event;
        let source = sources.find(&event.key.source);
        let source: Option<&SourceName> = source.map(|source| &source.name);
        let event_type = handlers::known_type(&event.event_type);
        *ways.entry((source, event_type, word(applied))).or_default() += 1;
        // A retry or a replay would tell how long the event has failed, not how far the mirror lags.
        if event.trigger == Trigger::Webhook && has_effect(applied) {
            metrics.mirrored(event.received_at, committed.at);
        }
    }
    for ((source, event_type, state), events) in ways {
        metrics.came_to(source, event_type, state, events);
    }
}

/// The state, or that an earlier delivery had led to it.
fn word(applied: &Applied) -> &'static str {
    match applied.outcome {
        Outcome::Duplicate => applied.outcome.as_str(),
        _ => applied.state.as_str(),
    }
}

fn has_effect(applied: &Applied) -> bool {
    applied.state == EventState::Applied && applied.outcome != Outcome::Duplicate
}
