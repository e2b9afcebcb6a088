//! What a replay would take: looked at before anything is done.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::event::EventType;
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::survey::Survey;
use crate::model::time::Timestamp;

/// The events that a replay would have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayPlan {
    /// How many.
    pub events: u64,
    /// How many more match, and cannot be replayed, as their payload is not kept.
    pub not_kept: u64,
    /// How many different things they are about; `None` if that would take long to count. Events about
    /// the same go one after the other.
    pub subjects: Option<u64>,
    /// When the first of those that match was received.
    pub oldest: Option<Timestamp>,
    /// When the last of them was.
    pub newest: Option<Timestamp>,
    /// What they are, the most frequent first.
    pub kinds: Vec<ReplayedKind>,
}

/// Events that match, by what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayedKind {
    /// What happened.
    pub event_type: EventType,
    /// Where they are from.
    pub source: SourceName,
    /// Where they stand.
    pub state: EventState,
    /// How many.
    pub events: u64,
}

impl ReplayPlan {
    /// Takes in events of one kind, of which the first and the last were received then.
    pub(crate) fn add(&mut self, kind: ReplayedKind, oldest: Timestamp, newest: Timestamp) {
        self.events += kind.events;
        self.oldest = Some(self.oldest.map_or(oldest, |known| known.min(oldest)));
        self.newest = Some(self.newest.map_or(newest, |known| known.max(newest)));
        self.kinds.push(kind);
    }

    /// The plan for everything that matches.
    pub(crate) fn of(survey: Survey) -> Self {
        let mut kinds: Vec<ReplayedKind> = survey
            .by
            .into_iter()
            .filter(|kind| kind.with_payload > 0)
            .map(|kind| ReplayedKind {
                event_type: kind.event_type,
                source: kind.source,
                state: kind.state,
                events: kind.with_payload,
            })
            .collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.events));
        Self {
            events: survey.with_payload,
            not_kept: survey.matched.saturating_sub(survey.with_payload),
            subjects: survey.subjects,
            oldest: survey.oldest,
            newest: survey.newest,
            kinds,
        }
    }
}
