//! Both decoders: a body has one plan, however odd, and what a plan says can be stored and shown.
//!
//! An input is a type, an empty line, and the body of an event of that type.

use std::time::Duration;

use bytes::Bytes;
use hookmirror::handlers;
use hookmirror::model::changes::Changes;
use hookmirror::model::event::{EventId, EventType};
use hookmirror::model::mask::mask;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::{UnverifiedWebhook, Verifier, sign, verify};
use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Inputs, in_two, of_two};
use crate::fixtures;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "\\",
    "\u{feff}",
    "\u{202e}",
    "\"id\":",
    "\"data\":",
    "\"object\":",
    "\"customer\":",
    "\"payment_intent\":",
    "\"metadata\":",
    "\"updated_at\":",
    "\"created\":",
    "\"status\":",
    "\"public_metadata\":{\"a\":\"\\u0000\"},",
    "\"type\":\"user.deleted\",",
    "\n\n",
    "user.updated",
];

/// Every fixture, under its own type.
fn seeds(provider: Provider) -> Vec<Vec<u8>> {
    let names = fixtures::names(provider.as_str());
    let seeds = names
        .iter()
        .map(|name| of_two(name, fixtures::bytes(provider.as_str(), name)));
    seeds.collect()
}

/// Answers how many inputs asked for something.
fn planned(provider: Provider, target: &'static str) -> usize {
    let mut understood = 0;
    Inputs::new(target, WORDS, seeds(provider)).each(|bytes| {
        let (event_type, body) = in_two(bytes);
        let event_type = std::str::from_utf8(event_type).ok();
        let event_type = event_type.and_then(EventType::parse);
        let event_type = event_type.unwrap_or_else(EventType::unknown);
        understood += usize::from(has_one_plan(provider, &event_type, body));
        is_received(provider, body);
        assert!(
            !mask(body, &[]).contains("\0"),
            "a mask has visible characters"
        );
    });
    understood
}

/// Whether the plan asks for something.
fn has_one_plan(provider: Provider, event_type: &EventType, body: &[u8]) -> bool {
    let event = fixtures::event(provider, event_type.as_str(), Bytes::copy_from_slice(body));
    let plan = handlers::plan(&provider.into(), &event);
    let again = handlers::plan(&provider.into(), &event);
    assert_eq!(
        (&plan.subject, &plan.result),
        (&again.subject, &again.result)
    );
    if let Some(subject) = &plan.subject {
        let is_visible = subject.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(
            is_visible && (1..=255).contains(&subject.len()),
            "{subject:?}"
        );
    }
    match plan.result {
        Err(error) => {
            let failure = error.into_failure(provider, event_type);
            assert!(failure.message.len() < 500, "{}", failure.message);
            false
        }
        Ok(Changes::Ignore(_)) => false,
        Ok(Changes::MirrorUser(user)) => {
            let objects = [
                &user.data,
                &user.public_metadata,
                &user.private_metadata,
                &user.unsafe_metadata,
            ];
            for text in objects {
                let read: Result<&RawValue, _> = serde_json::from_str(text);
                assert!(read.unwrap().get().starts_with('{'));
            }
            true
        }
        Ok(Changes::DeleteUser { .. } | Changes::RecordPayment(_)) => true,
    }
}

/// What is authentic is an event, whatever it holds: under the id that it names, or under one that
/// every retry gives it again.
fn is_received(provider: Provider, body: &[u8]) {
    let secret = SecretString::from(SECRET);
    let verifier = Verifier::new(
        provider.into(),
        std::slice::from_ref(&secret),
        Duration::ZERO,
    )
    .unwrap();
    let now = fixtures::RECEIVED_AT;
    let id = EventId::parse("msg_1").unwrap();
    let headers = sign(provider, &secret, &id, now, body).unwrap();
    let received = |at: Timestamp| {
        let claim = verifier.read_claim(&headers, at).ok()?;
        let webhook = UnverifiedWebhook {
            claim,
            headers: &headers,
            body: Bytes::copy_from_slice(body),
            received_at: at,
        };
        Some(verify(&verifier, webhook).unwrap().into_event())
    };
    let Some(event) = received(now) else {
        // Svix signs text only.
        assert!(provider == Provider::Clerk && std::str::from_utf8(body).is_err());
        return;
    };
    assert_eq!(event.body, body);
    assert_eq!(Some(event.key), received(now).map(|event| event.key));
    if serde_json::from_slice::<IgnoredAny>(body).is_err() {
        assert_eq!(event.event_type, EventType::unknown());
    }
}

#[test]
fn an_event_of_clerk_has_one_plan() {
    let understood = planned(Provider::Clerk, "clerk-event");
    assert!(understood > 20, "the form was lost: {understood}");
}

#[test]
fn an_event_of_stripe_has_one_plan() {
    let understood = planned(Provider::Stripe, "stripe-event");
    assert!(understood > 20, "the form was lost: {understood}");
}
