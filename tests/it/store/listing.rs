//! Finding events again.

use hookmirror::model::changes::{Changes, Decision, IgnoreReason, Planned};
use hookmirror::model::event::EventId;
use hookmirror::model::ledger::{EventFilter, IgnoredCount, StateCount};
use hookmirror::model::source::SourceName;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::apply;
use crate::support::given::{at, failing, ignore, key, mirror, received, record, session, user};

/// One event of each state that can come about, a second apart.
async fn story(store: &dyn Store) {
    let batch = [
        received(1, mirror("msg_1", user("user_a", 1, "Ann"))),
        received(2, ignore("msg_2", "session.created")),
        received(3, failing("msg_3", "user.created", "data.ID")),
        received(4, failing("evt_4", "invoice.paid", "Äußeres")),
        received(5, record("evt_5", session("cs_5"))),
        received(6, ignore("evt_6", "odd[type]")),
    ];
    apply(store, 10, &batch).await;
    apply(store, 11, &batch[5..]).await;
}

async fn ids(store: &dyn Store, filter: EventFilter) -> Vec<String> {
    let events = store.list_events(&filter, 100).await.unwrap();
    let mut ids: Vec<String> = events
        .iter()
        .map(|event| event.key.id.to_string())
        .collect();
    ids.sort();
    ids
}

fn all() -> EventFilter {
    EventFilter::default()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) async fn each_filter_by_itself(store: &dyn Store) {
    story(store).await;
    let failing_alike = failing("evt_x", "invoice.paid", "Äußeres");
    let Decision::Fail(failure) = failing_alike.decision else {
        panic!("{failing_alike:?}");
    };
    let cases: [(EventFilter, &[&str]); 15] = [
        (
            all(),
            &["evt_4", "evt_5", "evt_6", "msg_1", "msg_2", "msg_3"],
        ),
        (
            EventFilter {
                states: vec![EventState::Failed, EventState::Waiting],
                ..all()
            },
            &["evt_4", "evt_5", "msg_3"],
        ),
        (
            EventFilter {
                states: vec![EventState::Discarded],
                ..all()
            },
            &[],
        ),
        (
            EventFilter {
                source: SourceName::parse("clerk"),
                ..all()
            },
            &["msg_1", "msg_2", "msg_3"],
        ),
        (
            EventFilter {
                event_type: text("user.*"),
                ..all()
            },
            &["msg_1", "msg_3"],
        ),
        (
            EventFilter {
                event_type: text("user.?pdated"),
                ..all()
            },
            &["msg_1"],
        ),
        (
            EventFilter {
                event_type: text("user"),
                ..all()
            },
            &[],
        ),
        (
            EventFilter {
                subject: text("cs_5"),
                ..all()
            },
            &["evt_5"],
        ),
        (
            EventFilter {
                since: Some(at(4)),
                ..all()
            },
            &["evt_4", "evt_5", "evt_6"],
        ),
        (
            EventFilter {
                until: Some(at(4)),
                ..all()
            },
            &["msg_1", "msg_2", "msg_3"],
        ),
        (
            EventFilter {
                ids: ["msg_2", "evt_5", "evt_7"]
                    .iter()
                    .filter_map(|id| EventId::parse(id))
                    .collect(),
                ..all()
            },
            &["evt_5", "msg_2"],
        ),
        (
            EventFilter {
                fingerprint: Some(failure.fingerprint),
                ..all()
            },
            &["evt_4"],
        ),
        (
            EventFilter {
                error: text("DATA.id` IS missing"),
                ..all()
            },
            &["msg_3"],
        ),
        (
            EventFilter {
                error: text("%"),
                ..all()
            },
            &[],
        ),
        (
            EventFilter {
                subject: text("' OR 1=1 --"),
                ..all()
            },
            &[],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(store, filter.clone()).await, expected, "{filter:?}");
    }
}

pub(super) async fn filters_together(store: &dyn Store) {
    story(store).await;
    let filter = EventFilter {
        states: vec![EventState::Failed],
        source: SourceName::parse("clerk"),
        event_type: text("user.*"),
        since: Some(at(3)),
        until: Some(at(4)),
        error: text("missing"),
        ..all()
    };
    assert_eq!(ids(store, filter.clone()).await, ["msg_3"]);
    let none = EventFilter {
        subject: text("user_a"),
        ..filter
    };
    assert!(ids(store, none).await.is_empty());
}

pub(super) async fn brackets_in_a_pattern_are_text(store: &dyn Store) {
    story(store).await;
    for (pattern, found) in [
        ("odd[type]", true),
        ("odd[*", true),
        ("*]", true),
        ("od[d][[]type]", false),
        ("oddt", false),
        ("odd[a-z]type]", false),
    ] {
        let filter = EventFilter {
            event_type: text(pattern),
            ..all()
        };
        let expected: &[&str] = if found { &["evt_6"] } else { &[] };
        assert_eq!(ids(store, filter).await, expected, "{pattern}");
    }
}

pub(super) async fn newest_first_and_no_more_than_the_limit(store: &dyn Store) {
    story(store).await;
    let tie = received(6, ignore("evt_0", "a.type"));
    apply(store, 12, &[tie]).await;
    let events = store.list_events(&all(), 4).await.unwrap();
    let ids: Vec<&str> = events.iter().map(|event| event.key.id.as_str()).collect();
    assert_eq!(ids, ["evt_0", "evt_6", "evt_5", "evt_4"]);
    assert_eq!(store.list_events(&all(), 0).await.unwrap(), []);
}

pub(super) async fn counts_are_by_source_and_state(store: &dyn Store) {
    story(store).await;
    let count = |source: &str, state, events, deliveries| StateCount {
        source: SourceName::parse(source).unwrap(),
        state,
        events,
        deliveries,
    };
    let mut counts = store.count_events(&[]).await.unwrap().states;
    counts.sort_by_key(|count| (count.source.clone(), count.state));
    let expected = [
        count("clerk", EventState::Applied, 1, 1),
        count("clerk", EventState::Ignored, 1, 1),
        count("clerk", EventState::Failed, 1, 1),
        count("stripe", EventState::Ignored, 1, 2),
        count("stripe", EventState::Waiting, 1, 1),
        count("stripe", EventState::Failed, 1, 1),
    ];
    assert_eq!(counts, expected);
}

pub(super) async fn ignored_events_are_counted_by_their_reason(store: &dyn Store) {
    story(store).await;
    let because = |reason, event: &str| Planned {
        decision: Decision::Apply(Changes::Ignore(reason)),
        ..ignore(event, "invoice.paid")
    };
    let strayed = [
        because(IgnoreReason::TestEvent, "evt_7"),
        because(IgnoreReason::TestEvent, "evt_8"),
        because(IgnoreReason::TestEvent, "evt_8"),
        because(IgnoreReason::LiveEvent, "evt_9"),
    ];
    apply(store, 12, &strayed).await;
    let count = |source, outcome: &str, events| IgnoredCount {
        source: SourceName::parse(source).unwrap(),
        outcome: outcome.to_owned(),
        events,
    };
    let mut ignored = store.count_events(&[]).await.unwrap().ignored;
    ignored.sort_by_key(|count| (count.source.clone(), count.outcome.clone()));
    let expected = [
        count("clerk", "type_not_handled", 1),
        count("stripe", "live_event", 1),
        count("stripe", "test_event", 2),
        count("stripe", "type_not_handled", 1),
    ];
    assert_eq!(ignored, expected);
}

pub(super) async fn queued_events_that_the_ledger_holds_count_once(store: &dyn Store) {
    story(store).await;
    let mut elsewhere = key("msg_1");
    elsewhere.source = SourceName::parse("stripe").unwrap();
    let queued = [key("evt_5"), key("evt_9"), elsewhere, key("msg_1")];
    let counts = store.count_events(&queued).await.unwrap();
    assert_eq!(counts.unknown, 2);
    assert_eq!(store.count_events(&[]).await.unwrap().unknown, 0);
}
