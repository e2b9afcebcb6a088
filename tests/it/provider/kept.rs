//! What is kept of the headers, and what never is.

use std::collections::BTreeMap;

use hookmirror::model::event::{Event, EventId};
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::sign;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{STRIPE_SECRET, SVIX_SECRET, receive, verifier};

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A signed request with further headers.
fn received(provider: Provider, further: &[(&'static str, &[u8])]) -> Event {
    let secret = match provider {
        Provider::Clerk => SVIX_SECRET,
        Provider::Stripe => STRIPE_SECRET,
    };
    let body = br#"{"id":"evt_1","type":"a.type"}"#;
    let id = EventId::parse("msg_1").unwrap();
    let mut headers: HeaderMap = sign(provider, &secret.into(), &id, NOW, body).unwrap();
    for (name, value) in further {
        let value = HeaderValue::from_bytes(value).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    let verifier = verifier(provider, &["whsec_YW5vdGhlciBzZWNyZXQ=", secret]);
    receive(&verifier, &headers, &body[..], NOW)
        .unwrap()
        .into_event()
}

fn kept(provider: Provider, further: &[(&'static str, &[u8])]) -> BTreeMap<String, String> {
    received(provider, further).headers.values()
}

#[test]
fn a_few_are_kept_and_nothing_that_could_be_used_by_others() {
    let further: &[(&'static str, &[u8])] = &[
        ("content-type", b"application/json"),
        ("user-agent", b"Svix-Webhooks/1.7"),
        ("authorization", b"Bearer private"),
        ("cookie", b"session=private"),
        ("x-forwarded-for", b"192.0.2.7"),
        ("forwarded", b"for=192.0.2.7"),
        ("x-anything-else", b"private"),
    ];
    for (provider, timestamp, signature) in [
        (Provider::Clerk, "svix-timestamp", "v1,"),
        (Provider::Stripe, "stripe-timestamp", "v1="),
    ] {
        let mut kept = kept(provider, further);
        let secret = kept.remove("secret").unwrap();
        assert!(secret.starts_with("2-") && secret.len() == 8, "{secret}");
        let text = format!("{kept:?}");
        for private in ["private", "192.0.2.7", signature, "whsec"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
        let expected = [
            ("content-type", "application/json"),
            (timestamp, "1795000000"),
            ("user-agent", "Svix-Webhooks/1.7"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(kept, expected.into());
    }
}

#[test]
fn what_is_kept_is_short_and_visible() {
    let long = [b'a'; 5000];
    let agent = kept(Provider::Clerk, &[("user-agent", &long)]);
    assert_eq!(agent["user-agent"], "a".repeat(256));

    let odd = kept(Provider::Clerk, &[("user-agent", b"a\tb \xc3\xa4 \"\\")]);
    assert_eq!(odd["user-agent"], "a?b ?? \"\\");
}

#[test]
fn what_is_read_again_is_no_more_than_what_may_be_kept() {
    let read = |text: &str| KeptHeaders::parse(text).values();
    let written = r#"{"user-agent":"x","cookie":"y","secret":"1-aa"}"#;
    let expected = [("secret", "1-aa"), ("user-agent", "x")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(read(written), expected.into());
    let bell = read(r#"{"user-agent":"\u0007"}"#);
    assert_eq!(bell["user-agent"], "?");
    let huge = format!(r#"{{"user-agent":"{}"}}"#, "x".repeat(10_000));
    for odd in ["", "[]", "{", "null", r#"{"secret":1}"#, "{}", &huge] {
        assert_eq!(KeptHeaders::parse(odd), KeptHeaders::default(), "{odd}");
    }
}

#[test]
fn a_trace_is_taken_from_the_sender_if_it_is_one() {
    let trace = |values: &[&'static str]| {
        let headers: Vec<(&'static str, &[u8])> = values
            .iter()
            .map(|value| ("traceparent", value.as_bytes()))
            .collect();
        received(Provider::Stripe, &headers).trace
    };
    let known = trace(&[TRACEPARENT]).unwrap();
    assert_eq!(known.to_string(), TRACEPARENT);
    assert!(known.is_sampled());
    assert!(
        !trace(&["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"])
            .unwrap()
            .is_sampled()
    );
    // A later version may say more.
    let later = trace(&["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"]);
    assert_eq!(later, Some(known));
    for odd in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-000f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
    ] {
        assert_eq!(trace(&[odd]), None, "{odd}");
    }
    assert_eq!(trace(&[TRACEPARENT, TRACEPARENT]), None);
}
