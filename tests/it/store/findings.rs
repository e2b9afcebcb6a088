//! Finding events page by page, and counting what a filter matches.

use std::collections::{BTreeMap, BTreeSet};

use hookmirror::model::changes::Planned;
use hookmirror::model::event::EventId;
use hookmirror::model::ledger::{EventFilter, EventSummary, Position};
use hookmirror::model::source::SourceName;
use hookmirror::model::state::EventState;
use hookmirror::model::survey::Survey;
use hookmirror::store::Store;

use super::{apply, everything};
use crate::support::given::{
    at, failing, ignore, key, mirror, received, record, retry, session, session_of, user,
};

/// Events of many kinds, several at each moment, in an order that is not theirs.
async fn story(store: &dyn Store) {
    let mut batch: Vec<Planned> = Vec::new();
    for number in 0..40 {
        // Seven moments for forty events: most share theirs.
        let moment = (number * 5) % 7;
        let (stripe, clerk) = (format!("evt_{number}"), format!("msg_{number}"));
        let planned = match number % 8 {
            0 => mirror(&clerk, user(&format!("user_{}", number % 3), number, "Ann")),
            1 => ignore(&clerk, "session.created"),
            2 => failing(&stripe, "invoice.paid", "data.a"),
            3 => failing(&stripe, "invoice.paid", "data.b"),
            4 => record(&stripe, session(&format!("cs_{number}"))),
            5 => retry(&clerk),
            6 => record(&stripe, session_of("cs_same", "user_0")),
            _ => Planned {
                keep_payload: false,
                ..ignore(&stripe, "email.created")
            },
        };
        batch.push(received(moment, planned));
    }
    for part in batch.chunks(9) {
        apply(store, 100, part).await;
    }
}

fn filters(fingerprint: &str) -> Vec<EventFilter> {
    let all = EventFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let clerk = SourceName::parse("clerk");
    vec![
        all(),
        EventFilter {
            states: vec![EventState::Failed],
            ..all()
        },
        EventFilter {
            states: vec![EventState::Applied, EventState::Retrying],
            source: clerk,
            ..all()
        },
        EventFilter {
            event_type: text("*.created"),
            ..all()
        },
        EventFilter {
            event_type: text("nothing.*"),
            ..all()
        },
        EventFilter {
            since: Some(at(2)),
            until: Some(at(5)),
            ..all()
        },
        EventFilter {
            subject: text("cs_same"),
            since: Some(at(1)),
            ..all()
        },
        EventFilter {
            fingerprint: text(fingerprint),
            ..all()
        },
        EventFilter {
            fingerprint: text(fingerprint),
            states: vec![EventState::Retrying],
            ..all()
        },
        EventFilter {
            error: text("DATA.b"),
            source: SourceName::parse("stripe"),
            ..all()
        },
        EventFilter {
            ids: ["evt_7", "evt_2", "msg_1", "evt_none"]
                .iter()
                .filter_map(|id| EventId::parse(id))
                .collect(),
            ..all()
        },
    ]
}

/// By hand, from everything there is.
fn matches(filter: &EventFilter, event: &EventSummary) -> bool {
    let like = |pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => {
            let name = event.event_type.as_str();
            name.starts_with(start) && name.ends_with(end)
        }
        None => pattern == event.event_type.as_str(),
    };
    let holds = |text: &String| {
        let error = event.last_error.as_ref();
        error.is_some_and(|error| error.to_lowercase().contains(&text.to_lowercase()))
    };
    (filter.states.is_empty() || filter.states.contains(&event.state))
        && filter
            .source
            .as_ref()
            .is_none_or(|source| *source == event.key.source)
        && filter.event_type.as_deref().is_none_or(like)
        && (filter.subject.is_none() || filter.subject == event.subject)
        && filter.since.is_none_or(|since| event.received_at >= since)
        && filter.until.is_none_or(|until| event.received_at < until)
        && (filter.ids.is_empty() || filter.ids.contains(&event.key.id))
        && (filter.fingerprint.is_none() || filter.fingerprint == event.fingerprint)
        && filter.error.as_ref().is_none_or(holds)
}

async fn expected(store: &dyn Store) -> Vec<(EventFilter, Vec<EventSummary>)> {
    let mut all = everything(store).await;
    all.sort_by_key(|event| {
        let newest_first = std::cmp::Reverse(event.received_at);
        (
            newest_first,
            event.key.source.clone(),
            event.key.id.to_string(),
        )
    });
    let failed = all.iter().find(|event| event.state == EventState::Failed);
    let fingerprint = failed.unwrap().fingerprint.clone().unwrap();
    let filters = filters(&fingerprint).into_iter();
    filters
        .map(|filter| {
            let found = all.iter().filter(|event| matches(&filter, event));
            let found = found.cloned().collect();
            (filter, found)
        })
        .collect()
}

fn position(event: &EventSummary) -> Position {
    Position {
        received_at: event.received_at,
        key: event.key.clone(),
    }
}

pub(super) async fn pages_put_together_are_the_listing(store: &dyn Store) {
    story(store).await;
    for (filter, expected) in expected(store).await {
        for limit in [1, 2, 3, 7, 39, 100] {
            let mut pages: Vec<EventSummary> = Vec::new();
            loop {
                let after = pages.last().map(position);
                let page = store.page_events(&filter, after.as_ref(), limit);
                let page = page.await.unwrap();
                assert!(page.len() <= limit as usize);
                if page.is_empty() {
                    break;
                }
                pages.extend(page);
                assert!(pages.len() <= 40, "an event comes twice: {filter:?}");
            }
            assert_eq!(pages, expected, "{filter:?}, {limit} at a time");
        }
    }
}

pub(super) async fn a_page_goes_on_after_an_event_that_it_does_not_list(store: &dyn Store) {
    story(store).await;
    let all = everything(store).await;
    for (filter, expected) in expected(store).await {
        for event in &all {
            let place = position(event);
            let rest: Vec<&EventSummary> = expected
                .iter()
                .filter(|other| {
                    let of = |event: &EventSummary| {
                        let newest_first = std::cmp::Reverse(event.received_at);
                        (
                            newest_first,
                            event.key.source.clone(),
                            event.key.id.to_string(),
                        )
                    };
                    of(other) > of(event)
                })
                .take(3)
                .collect();
            let page = store.page_events(&filter, Some(&place), 3).await.unwrap();
            let page: Vec<&EventSummary> = page.iter().collect();
            assert_eq!(page, rest, "{filter:?} after {}", event.key);
        }
    }
}

pub(super) async fn a_survey_counts_what_the_listing_shows(store: &dyn Store) {
    story(store).await;
    for (filter, expected) in expected(store).await {
        let survey = store.survey(&filter).await.unwrap();
        let mut by = BTreeMap::new();
        let mut with_payload = 0;
        for event in &expected {
            let kind = (
                event.key.source.clone(),
                event.event_type.to_string(),
                event.state,
            );
            *by.entry(kind).or_insert(0) += 1;
            let record = store.find_event(&event.key).await.unwrap().unwrap();
            with_payload += u64::from(record.payload.is_some());
        }
        let subjects: BTreeSet<_> = expected.iter().filter_map(|e| e.subject.as_ref()).collect();
        let times = || expected.iter().map(|event| event.received_at);
        let counted: BTreeMap<_, _> = survey
            .by
            .iter()
            .map(|kind| {
                let of = (kind.source.clone(), kind.event_type.to_string(), kind.state);
                (of, kind.events)
            })
            .collect();
        assert_eq!(counted, by, "{filter:?}");
        let expected = Survey {
            matched: expected.len() as u64,
            with_payload,
            by: survey.by.clone(),
            oldest: times().min(),
            newest: times().max(),
            subjects: Some(subjects.len() as u64),
        };
        assert_eq!(survey, expected, "{filter:?}");
        let most_first = survey.by.iter().map(|kind| std::cmp::Reverse(kind.events));
        assert!(most_first.is_sorted());
    }
}

pub(super) async fn nothing_is_found_in_an_empty_ledger(store: &dyn Store) {
    for filter in filters("none") {
        let nothing = Survey {
            subjects: Some(0),
            ..Survey::default()
        };
        assert_eq!(store.survey(&filter).await.unwrap(), nothing);
        let place = Position {
            received_at: at(0),
            key: key("evt_1"),
        };
        for after in [None, Some(&place)] {
            assert_eq!(store.page_events(&filter, after, 10).await.unwrap(), []);
        }
    }
}
