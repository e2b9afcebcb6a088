//! The failed attempts of a batch, by what they have in common.

use std::collections::BTreeMap;

use crate::model::changes::{Applied, Decision, Failure, Outcome, Planned};
use crate::model::event::{EventKey, EventType};

/// What fails in one way.
#[derive(Debug)]
pub(in crate::store) struct Failing {
    pub(in crate::store) kind: &'static str,
    pub(in crate::store) event_type: EventType,
    pub(in crate::store) occurrences: i64,
    /// The last event of them, and its error.
    pub(in crate::store) example: EventKey,
    pub(in crate::store) error: String,
}

/// By fingerprint, in whose order all writers write.
#[derive(Debug, Default)]
pub(in crate::store) struct FailureFold(BTreeMap<String, Failing>);

impl FailureFold {
    /// Takes in what became of a part of a batch.
    pub(in crate::store) fn add(&mut self, part: &[Planned], applied: &[Applied]) {
        for (planned, applied) in part.iter().zip(applied) {
            let (Decision::Fail(failure) | Decision::Retry(failure)) = &planned.decision else {
                continue;
            };
            let (Outcome::Failed(kind) | Outcome::Retrying { kind, .. }) = applied.outcome else {
                continue;
            };
            let (key, event_type) = (&planned.event.key, &planned.event.event_type);
            self.note(kind, failure, event_type, key.clone());
        }
    }

    /// Takes in that an event has failed, whoever found out.
    pub(in crate::store) fn note(
        &mut self,
        kind: &'static str,
        failure: &Failure,
        event_type: &EventType,
        example: EventKey,
    ) {
        let error = failure.message.clone();
        self.0
            .entry(failure.fingerprint.clone())
            .and_modify(|failing| {
                failing.occurrences += 1;
                failing.example = example.clone();
                failing.error.clone_from(&error);
            })
            .or_insert_with(|| Failing {
                kind,
                event_type: event_type.clone(),
                occurrences: 1,
                example,
                error,
            });
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::store) fn rows(&self) -> impl Iterator<Item = (&str, &Failing)> {
        let rows = self.0.iter();
        rows.map(|(fingerprint, failing)| (fingerprint.as_str(), failing))
    }
}
