//! What to do about an event, before it meets the database.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::handlers;
use crate::model::changes::{Decision, Failure, Planned};
use crate::model::event::Event;
use crate::model::source::Sources;

/// Asks the handlers of the event's provider. A handler that panics fails this event alone.
pub fn decide(sources: &Sources, event: Event) -> Planned {
    let Some(source) = sources.find(&event.key.source) else {
        return source_unknown(event);
    };
    let provider = source.provider;
    // Handlers are pure: there is no state that a panic could leave half-changed.
    let plan = catch_unwind(AssertUnwindSafe(|| handlers::plan(source, &event)));
    match plan {
        Ok(plan) => Planned {
            subject: plan.subject,
            keep_payload: plan.keep_payload,
            decision: match plan.result {
                Ok(changes) => Decision::Apply(changes),
                Err(error) => Decision::Fail(error.into_failure(provider, &event.event_type)),
            },
            event,
        },
        Err(_) => Planned {
            subject: None,
            keep_payload: handlers::keeps_payload(&event.event_type),
            decision: Decision::Fail(Failure::new(
                "handler_panicked",
                provider.as_str(),
                &event.event_type,
                "the handler panicked: this is a defect of hookmirror, please report it".to_owned(),
            )),
            event,
        },
    }
}

/// Ingress of another process accepts the source: settings reach processes one after the other.
fn source_unknown(event: Event) -> Planned {
    let source = &event.key.source;
    let failure = Failure::new(
        "source_unknown",
        source.as_str(),
        &event.event_type,
        format!(
            "no source named {source} is configured for this worker: configure it before the last \
             attempt, or let the provider send the event again after it"
        ),
    );
    let keep_payload = handlers::keeps_payload(&event.event_type);
    Planned {
        subject: None,
        keep_payload,
        // Another attempt needs the body.
        decision: if keep_payload {
            Decision::Retry(failure)
        } else {
            Decision::Fail(failure)
        },
        event,
    }
}
