//! What each event asks of the mirror.

use hookmirror::handlers::{self, HandlerError, Plan};
use hookmirror::model::changes::{Changes, Failure};
use hookmirror::model::event::{Event, EventType};
use hookmirror::model::payment::{CheckoutSession, Fact};
use hookmirror::model::source::Provider;
use hookmirror::model::user::User;
use serde_json::Value;

use crate::fixtures::{self, event};

mod charge;
mod checkout;
mod customer;
mod dispute;
mod every_fixture;
mod every_payment;
mod hostile;
mod invoice;
mod livemode;
mod refund;
mod required;
mod story;
mod subject;
mod subscription;
mod user;

/// The plan of an event at the source that is named like its provider.
fn plan(provider: Provider, event: &Event) -> Plan {
    handlers::plan(&provider.into(), event)
}

fn plan_of(provider: Provider, event_type: &str, body: &Value) -> Plan {
    plan(provider, &event(provider, event_type, body.to_string()))
}

/// The fixture of a type with one place set to another value, or removed.
fn changed(provider: Provider, event_type: &str, pointer: &str, to: Option<Value>) -> Value {
    let mut body = fixtures::json(provider.as_str(), event_type);
    set(&mut body, pointer, to);
    body
}

fn set(body: &mut Value, pointer: &str, to: Option<Value>) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match to {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
}

fn mirrored(plan: Plan) -> User {
    match plan.result.unwrap() {
        Changes::MirrorUser(user) => *user,
        other => panic!("{other:?}"),
    }
}

fn recorded(plan: Plan) -> CheckoutSession {
    match fact(plan) {
        Fact::CheckoutSession(session) => session,
        other => panic!("a session was expected: {other:?}"),
    }
}

fn fact(plan: Plan) -> Fact {
    match plan.result.unwrap() {
        Changes::RecordPayment(fact) => *fact,
        other => panic!("{other:?}"),
    }
}

/// What Stripe's fixture of a type comes to with some places set to other values, or removed.
fn stripe(event_type: &str, changes: &[(&str, Option<Value>)]) -> Plan {
    let mut body = fixtures::json("stripe", event_type);
    for (pointer, to) in changes {
        set(&mut body, pointer, to.clone());
    }
    plan_of(Provider::Stripe, event_type, &body)
}

/// Kind and place of a failure.
fn blamed(plan: Plan) -> (&'static str, Option<String>) {
    let error = plan.result.unwrap_err();
    (error.kind(), error.place().map(str::to_owned))
}

fn invalid(place: &str) -> (&'static str, Option<String>) {
    ("payload_invalid", Some(place.to_owned()))
}

fn failure(provider: Provider, event_type: &str, error: HandlerError) -> Failure {
    error.into_failure(provider, &EventType::parse(event_type).unwrap())
}
