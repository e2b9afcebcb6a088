//! What is asked of the ledger.

use hookmirror::model::event::EventId;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::source::SourceName;
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;

use super::rows::NEWEST;

/// Every filter by itself, those of frequent and of rare things, and the usual ones together.
pub(crate) fn questions(rows: u64) -> Vec<(&'static str, EventFilter)> {
    let all = EventFilter::default;
    let state = |state| EventFilter {
        states: vec![state],
        ..all()
    };
    let source = |name| EventFilter {
        source: SourceName::parse(name),
        ..all()
    };
    let of_type = |pattern: &str| EventFilter {
        event_type: Some(pattern.to_owned()),
        ..all()
    };
    let days_ago = |days: i64| Some(Timestamp::from_seconds(NEWEST - days * 86_400));
    let error = |text: &str| EventFilter {
        error: Some(text.to_owned()),
        ..all()
    };
    vec![
        ("everything", all()),
        ("state applied", state(EventState::Applied)),
        ("state ignored", state(EventState::Ignored)),
        ("state failed", state(EventState::Failed)),
        ("state retrying", state(EventState::Retrying)),
        ("state queued: none", state(EventState::Queued)),
        ("source stripe", source("stripe")),
        ("source clerk-test: rare", source("clerk-test")),
        ("type checkout.*", of_type("checkout.*")),
        ("type *.deleted", of_type("*.deleted")),
        ("type *.updated: frequent", of_type("*.updated")),
        ("type payout.paid: rare", of_type("payout.paid")),
        ("type nothing.*: none", of_type("nothing.*")),
        (
            "subject",
            EventFilter {
                subject: Some("cus_4711".to_owned()),
                ..all()
            },
        ),
        (
            "since yesterday",
            EventFilter {
                since: days_ago(1),
                ..all()
            },
        ),
        (
            "until 80 days ago",
            EventFilter {
                until: days_ago(80),
                ..all()
            },
        ),
        (
            "a day 45 days ago",
            EventFilter {
                since: days_ago(45),
                until: days_ago(44),
                ..all()
            },
        ),
        (
            "fingerprint",
            EventFilter {
                fingerprint: Some("fingerprint_0".to_owned()),
                ..all()
            },
        ),
        (
            "id",
            EventFilter {
                ids: EventId::parse(&format!("evt_{}", rows / 2))
                    .into_iter()
                    .collect(),
                ..all()
            },
        ),
        ("error in many", error("IS missing")),
        ("error in none", error("no such text")),
        (
            "failed, stripe, invoice.*",
            EventFilter {
                event_type: Some("invoice.*".to_owned()),
                source: SourceName::parse("stripe"),
                ..state(EventState::Failed)
            },
        ),
        (
            "applied, user.*, since 30 days",
            EventFilter {
                event_type: Some("user.*".to_owned()),
                since: days_ago(30),
                ..state(EventState::Applied)
            },
        ),
        (
            "failed, text, since 7 days",
            EventFilter {
                since: days_ago(7),
                states: vec![EventState::Failed],
                ..error("field_3")
            },
        ),
    ]
}
