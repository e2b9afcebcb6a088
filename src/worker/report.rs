//! One line in the log for each delivery of an event: what it was, and what it came to.
//!
//! Each can be read alone: as text it says it in words, as JSON it has every field. None holds
//! anything of a body but the id of what the event is about.

use super::away::Committed;
use crate::model::changes::{Applied, Outcome, Planned};

/// A line at this level, with all that is told of a delivery.
macro_rules! line {
    ($level:ident, $planned:expr, $applied:expr, $at:expr, $($rest:tt)+) => {{
        let event = &$planned.event;
        tracing::$level!(
            event.source = %event.key.source,
            event.id = %event.key.id,
            event.r#type = %event.event_type,
            event.subject = $planned.subject,
            event.state = %$applied.state,
            outcome = %$applied.outcome,
            trigger = %event.trigger.name(),
            lag_ms = u64::try_from($at.since(event.received_at).as_millis()).unwrap_or(u64::MAX),
            trace_id = event.trace.map(|trace| trace.trace_id_text()),
            $($rest)+
        )
    }};
}
pub(super) use line;

/// Tells of a committed batch.
pub(super) fn report(planned: &[Planned], committed: &Committed) {
    for (planned, applied) in planned.iter().zip(&committed.applied) {
        tell(planned, applied, committed);
    }
}

fn tell(planned: &Planned, applied: &Applied, committed: &Committed) {
    let event = &planned.event;
    let (source, id, kind) = (&event.key.source, &event.key.id, &event.event_type);
    let (state, outcome, at) = (applied.state, applied.outcome, committed.at);
    match outcome {
        Outcome::Failed(_) => line!(
            warn,
            planned,
            applied,
            at,
            "{source} {kind} {id} failed; see `hookmirror events show {source}/{id}`"
        ),
        Outcome::Retrying { at: again_at, .. } => line!(
            warn, planned, applied, at,
            next_attempt_at = %again_at,
            "{source} {kind} {id} failed and is tried again at {again_at}; see \
             `hookmirror events show {source}/{id}`"
        ),
        Outcome::PaymentUnattributed => line!(
            warn,
            planned,
            applied,
            at,
            "{source} {kind} {id} is recorded, but belongs to no known user yet"
        ),
        _ => line!(
            info,
            planned,
            applied,
            at,
            "{source} {kind} {id}: {state}, {outcome}"
        ),
    }
}
