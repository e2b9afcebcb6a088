//! A span for each event of a batch. All of them took as long as the transaction that they share.

use super::away::Committed;
use crate::model::changes::{Outcome, Planned};
use crate::model::trace::TraceContext;
use crate::traces::{AttributeValue, Span, SpanKind, Traces};

/// Ends the spans of a committed batch, which began with their events, each caused by its parent.
pub(super) fn end(
    traces: &Traces,
    planned: &[Planned],
    parents: &[Option<TraceContext>],
    committed: &Committed,
) {
    let batch = i64::try_from(planned.len()).unwrap_or(i64::MAX);
    let entries = planned.iter().zip(parents).zip(&committed.applied);
    for ((planned, parent), applied) in entries {
        let event = &planned.event;
        let Some(context) = event.trace else {
            continue;
        };
        traces.end(context, || Span {
            name: "apply event",
            kind: SpanKind::Consumer,
            context,
            parent: *parent,
            began_at: committed.began_at,
            took: committed.took,
            attributes: vec![
                ("event.source", event.key.source.as_str().into()),
                ("event.id", event.key.id.as_str().into()),
                ("event.type", event.event_type.as_str().into()),
                ("event.state", applied.state.as_str().into()),
                ("hookmirror.outcome", applied.outcome.as_str().into()),
                (
                    "hookmirror.trigger",
                    event.trigger.name().into_owned().into(),
                ),
                ("hookmirror.batch_size", AttributeValue::Number(batch)),
            ],
            failed: matches!(
                applied.outcome,
                Outcome::Failed(_) | Outcome::Retrying { .. }
            ),
        });
    }
}
