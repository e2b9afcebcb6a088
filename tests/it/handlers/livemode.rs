//! Test events at a live source, live events at a test source.

use hookmirror::handlers::{self, Plan};
use hookmirror::model::changes::{Changes, IgnoreReason};
use hookmirror::model::source::{Provider, Source};
use serde_json::{Value, json};

use super::{blamed, changed, invalid};
use crate::fixtures::{self, event};

const PAID: &str = "checkout.session.completed";

fn source(provider: Provider, livemode: Option<bool>) -> Source {
    Source {
        livemode,
        ..provider.into()
    }
}

fn plan_at(livemode: Option<bool>, event_type: &str, body: &Value) -> Plan {
    let event = event(Provider::Stripe, event_type, body.to_string());
    handlers::plan(&source(Provider::Stripe, livemode), &event)
}

/// A paid checkout whose envelope says this, and whose session says the opposite: the envelope counts.
fn paid(livemode: bool) -> Value {
    let mut body = changed(Provider::Stripe, PAID, "/livemode", Some(json!(livemode)));
    body["data"]["object"]["livemode"] = json!(!livemode);
    body
}

#[test]
fn only_the_other_kind_is_turned_away() {
    for (wanted, said, reason) in [
        (None, true, None),
        (None, false, None),
        (Some(true), true, None),
        (Some(false), false, None),
        (Some(true), false, Some(IgnoreReason::TestEvent)),
        (Some(false), true, Some(IgnoreReason::LiveEvent)),
    ] {
        let plan = plan_at(wanted, PAID, &paid(said));
        let session = fixtures::json("stripe", PAID)["data"]["object"]["id"].clone();
        assert_eq!(plan.subject.as_deref(), session.as_str());
        assert!(plan.keep_payload);
        let changes = plan.result.unwrap();
        match reason {
            Some(reason) => assert_eq!(changes, Changes::Ignore(reason)),
            None => assert!(
                matches!(changes, Changes::RecordPayment(_)),
                "{wanted:?} {said} {changes:?}"
            ),
        }
    }
}

#[test]
fn thin_events_and_those_that_nobody_handles_are_turned_away_as_well() {
    for event_type in fixtures::names("stripe") {
        let body = fixtures::json("stripe", &event_type);
        assert_eq!(body["livemode"], false, "{event_type}");
        let changes = plan_at(Some(true), &event_type, &body).result;
        let turned_away = Changes::Ignore(IgnoreReason::TestEvent);
        assert_eq!(changes, Ok(turned_away), "{event_type}");
    }
}

/// What is not worth a look to the handlers is not, because it is unreadable to them.
#[test]
fn an_event_of_the_other_kind_need_not_make_sense() {
    let body = json!({"livemode": false, "data": {"object": 7}});
    let changes = plan_at(Some(true), PAID, &body).result;
    assert_eq!(changes, Ok(Changes::Ignore(IgnoreReason::TestEvent)));
}

#[test]
fn an_event_that_does_not_say_fails_where_it_matters_and_only_there() {
    for unsaid in [None, Some(json!(null)), Some(json!("true")), Some(json!(1))] {
        let body = changed(Provider::Stripe, PAID, "/livemode", unsaid);
        for wanted in [true, false] {
            let plan = plan_at(Some(wanted), PAID, &body);
            assert_eq!(blamed(plan), invalid("livemode"), "{body}");
        }
        let changes = plan_at(None, PAID, &body).result;
        assert!(matches!(changes, Ok(Changes::RecordPayment(_))), "{body}");
    }
}

#[test]
fn clerks_events_are_not_asked() {
    let body = fixtures::bytes("clerk", "user.created");
    let event = event(Provider::Clerk, "user.created", body);
    for livemode in [None, Some(true), Some(false)] {
        let plan = handlers::plan(&source(Provider::Clerk, livemode), &event);
        assert!(matches!(plan.result, Ok(Changes::MirrorUser(_))));
    }
}
