//! The id and the type of a verified event, whatever its body is like.

use hookmirror::model::event::{Event, EventId};
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::sign;

use super::{STRIPE_SECRET, SVIX_SECRET, receive, verifier};

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

fn received(provider: Provider, body: &[u8]) -> Event {
    let secret = match provider {
        Provider::Clerk => SVIX_SECRET,
        Provider::Stripe => STRIPE_SECRET,
    };
    let id = EventId::parse("msg_1").unwrap();
    let headers = sign(provider, &secret.into(), &id, NOW, body).unwrap();
    receive(&verifier(provider, &[secret]), &headers, body.to_vec(), NOW)
        .unwrap()
        .into_event()
}

#[test]
fn clerk_names_the_event_in_the_header() {
    let event = received(Provider::Clerk, br#"{"id":"evt_1","type":"user.created"}"#);
    assert_eq!(event.key.to_string(), "clerk/msg_1");
    assert_eq!(event.event_type.as_str(), "user.created");
    assert_eq!(event.received_at, NOW);
}

#[test]
fn stripe_names_the_event_in_the_body() {
    let event = received(Provider::Stripe, br#"{"id":"evt_1","type":"invoice.paid"}"#);
    assert_eq!(event.key.to_string(), "stripe/evt_1");
    assert_eq!(event.event_type.as_str(), "invoice.paid");
}

/// `None` for the id stands for one that is derived from the bytes.
#[test]
fn id_and_type_are_read_independently() {
    let (deep, long) = ("[".repeat(100_000), "x".repeat(256));
    let deep_id = format!(r#"{{"id":{deep}{},"type":"a.b"}}"#, "]".repeat(100_000));
    let unfinished = format!(r#"{{"id":{deep}"#);
    let long_id = format!(r#"{{"id":"{long}","type":"a.b"}}"#);
    let cases: [(&[u8], Option<&str>, &str); 22] = [
        (br#"{"type":"a.b","id":"evt_1"}"#, Some("evt_1"), "a.b"),
        (
            br#"{"id":"evt_1","data":{"id":"x","type":"y"},"type":"a.b"}"#,
            Some("evt_1"),
            "a.b",
        ),
        (
            br#" {"\u0069d":"evt_\u0031","typ\u0065":"a\u002eb"} "#,
            Some("evt_1"),
            "a.b",
        ),
        (br#"{"id":1,"type":"a.b"}"#, None, "a.b"),
        (br#"{"id":null,"type":"a.b"}"#, None, "a.b"),
        (br#"{"id":{"id":"evt_1"},"type":"a.b"}"#, None, "a.b"),
        (br#"{"id":"\ud800","type":"a.b"}"#, None, "a.b"),
        (br#"{"id":"","type":"a.b"}"#, None, "a.b"),
        (br#"{"id":"evt 1","type":"a.b"}"#, None, "a.b"),
        (br#"{"id":"evt_1","id":"evt_2","type":"a.b"}"#, None, "a.b"),
        (long_id.as_bytes(), None, "a.b"),
        (deep_id.as_bytes(), None, "a.b"),
        (
            br#"{"id":"evt_1","type":["a.b"]}"#,
            Some("evt_1"),
            "unknown",
        ),
        (
            br#"{"id":"evt_1","type":"a","type":"b"}"#,
            Some("evt_1"),
            "unknown",
        ),
        (br#"{"id":"evt_1"}"#, Some("evt_1"), "unknown"),
        (br#"{}"#, None, "unknown"),
        (br#"["evt_1","a.b"]"#, None, "unknown"),
        (br#""evt_1""#, None, "unknown"),
        (br#"{"id":"evt_1","type":"a.b"} {}"#, None, "unknown"),
        (br#"{"id":"evt_1","type":"a.b""#, None, "unknown"),
        (b"", None, "unknown"),
        (unfinished.as_bytes(), None, "unknown"),
    ];
    for (body, id, event_type) in cases {
        let event = received(Provider::Stripe, body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        let id = id.map_or_else(|| EventId::of_body(body), |id| EventId::parse(id).unwrap());
        assert_eq!(event.key.id, id, "{shown}");
        assert_eq!(event.event_type.as_str(), event_type, "{shown}");
        assert_eq!(event.body, body, "{shown}");
    }
}

/// A retry of a body without an id is the same event, another body is another.
#[test]
fn a_derived_id_follows_the_bytes() {
    let id = |body: &[u8]| received(Provider::Stripe, body).key.id;
    assert_eq!(id(b"\xff\x00"), id(b"\xff\x00"));
    assert_ne!(id(b"\xff\x00"), id(b"\xff\x01"));
}
