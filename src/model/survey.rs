//! How much a filter meets, by kind.

use serde::Serialize;
use utoipa::ToSchema;

use super::event::EventType;
use super::source::SourceName;
use super::state::EventState;
use super::time::Timestamp;

/// Up to so many events the subjects among them are counted: to tell many apart takes long.
pub const COUNT_SUBJECTS_OF: u64 = 10_000;

/// How many of the events that match are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KindCount {
    /// The source.
    pub source: SourceName,
    /// The type.
    pub event_type: EventType,
    /// The state.
    pub state: EventState,
    /// Distinct events.
    pub events: u64,
    /// Those among them whose payload is kept.
    pub with_payload: u64,
}

/// Everything that a filter matches, counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Survey {
    /// Distinct events.
    pub matched: u64,
    /// Those among them whose payload is kept: the others cannot be processed again.
    pub with_payload: u64,
    /// The same by source, type and state, the most frequent first.
    pub by: Vec<KindCount>,
    /// When the first of them was received.
    pub oldest: Option<Timestamp>,
    /// When the last of them was received.
    pub newest: Option<Timestamp>,
    /// What they are about: distinct subjects. `None` if there are more than [`COUNT_SUBJECTS_OF`]
    /// events.
    pub subjects: Option<u64>,
}

/// The events of one kind, as the database counts them.
#[derive(Clone, Debug)]
pub(crate) struct KindSurvey {
    pub(crate) count: KindCount,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) newest: Option<Timestamp>,
}

impl Survey {
    /// Adds kinds up. What they are about is not known of them.
    pub(crate) fn of(kinds: impl IntoIterator<Item = KindSurvey>) -> Self {
        let mut survey = Self::default();
        for kind in kinds {
            if kind.count.events == 0 {
                continue;
            }
            survey.matched += kind.count.events;
            survey.with_payload += kind.count.with_payload;
            survey.oldest = [survey.oldest, kind.oldest].into_iter().flatten().min();
            survey.newest = survey.newest.max(kind.newest);
            survey.by.push(kind.count);
        }
        survey.subjects = (survey.matched == 0).then_some(0);
        let order = |kind: &KindCount| {
            let key = (kind.source.clone(), kind.event_type.to_string(), kind.state);
            (std::cmp::Reverse(kind.events), key)
        };
        survey.by.sort_by_cached_key(order);
        survey
    }

    /// Whether there are subjects to be counted, few enough.
    pub(crate) fn counts_subjects(&self) -> bool {
        (1..=COUNT_SUBJECTS_OF).contains(&self.matched)
    }
}
