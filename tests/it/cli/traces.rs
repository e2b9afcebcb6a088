//! One trace from the webhook to the call of Clerk, as a collector sees it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use hookmirror::clock::{Clock, SystemClock};
use hookmirror::model::event::EventId;
use hookmirror::model::source::Provider;
use hookmirror::provider::sign;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::process::{CLERK_KEY, CREATED, Home, PAID, SECRETS, fixture, wait_until};
use crate::support::witness::Witness;

/// The trace that the sender of a webhook has begun.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

/// Posts a payload with this `traceparent`, signed; answers the status.
pub(crate) fn deliver(address: SocketAddr, name: &str, traceparent: &str) -> u16 {
    let body = std::fs::read(fixture(name)).unwrap();
    let (provider, secret) = match name.split_once('/') {
        Some(("stripe", _)) => (Provider::Stripe, SECRETS[1].1),
        _ => (Provider::Clerk, SECRETS[0].1),
    };
    let id = EventId::parse("msg_traced").unwrap();
    let signed = sign(provider, &secret.into(), &id, SystemClock.now(), &body).unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let mut head = format!(
        "POST /webhooks/{provider} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {}\r\ntraceparent: {traceparent}\r\n",
        body.len()
    );
    for (name, value) in &signed {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(b"\r\n").unwrap();
    connection.write_all(&body).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Checks that what was seen of the sender's trace is one chain: webhook, commit, call of Clerk.
pub(crate) fn check_chain(witness: &Witness) {
    let spans = witness.spans();
    let of_trace: Vec<&Span> = spans
        .iter()
        .filter(|span| hex::encode(&span.trace_id) == TRACE)
        .collect();
    let named = |name: &str| {
        let mut found = of_trace.iter().filter(|span| span.name == name);
        let span = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {spans:?}"));
        assert!(found.next().is_none(), "{name} is there once");
        span
    };
    assert_eq!(of_trace.len(), 3, "{of_trace:?}");
    let webhook = named("POST /webhooks/{source}");
    let apply = named("apply event");
    let clerk = named("PATCH /users/{id}/metadata");
    assert_eq!(hex::encode(&webhook.parent_span_id), SENDER);
    assert_eq!(apply.parent_span_id, webhook.span_id);
    assert_eq!(clerk.parent_span_id, apply.span_id);
    for span in [webhook, apply, clerk] {
        assert!(
            span.end_time_unix_nano >= span.start_time_unix_nano,
            "{span:?}"
        );
    }
    let told = format!("00-{TRACE}-{}-01", hex::encode(&clerk.span_id));
    assert_eq!(witness.traceparents(), [told]);
}

pub(crate) fn traceparent() -> String {
    format!("00-{TRACE}-{SENDER}-01")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_the_webhook_to_clerk_and_tells_nothing_personal() {
    let (witness, address) = Witness::start().await;
    let home = Home::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}/"))
        .with(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "x-key=a%20MARKEDkey,x-other=2",
        )
        .with("OTEL_SERVICE_NAME", "of-the-test")
        .with("CLERK_SECRET_KEY", CLERK_KEY)
        .with("CLERK_API_URL", &format!("http://{address}/v1"));
    let service = home.serve();
    assert_eq!(deliver(home.address, PAID, &traceparent()), 202);
    wait_until("Clerk is called", || !witness.traceparents().is_empty());
    // Not to be recorded, says its sender.
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    assert_eq!(deliver(home.address, CREATED, unsampled), 202);
    wait_until("both are recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 2
    });
    home.output(["send", &fixture("clerk/user.updated.json")]);
    wait_until("all are recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 3
    });
    // What is left goes out at the end.
    assert!(!service.stderr().contains("MARKEDkey"));
    service.stop();
    check_chain(&witness);

    let spans = witness.spans();
    assert_eq!(
        spans.len(),
        5,
        "three, and two of a trace of our own: {spans:?}"
    );
    let bytes = witness.exported();
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("of-the-test") && has("checkout.session.completed"));
    assert!(!has("0af7651916cd43dd"));
    for private in [
        "ada.lindqvist",
        "Lindqvist",
        "@example",
        "MARKER",
        "whsec",
        "v1=",
        "MARKEDkey",
    ] {
        assert!(!has(private), "{private} was exported");
    }
    for headers in witness.export_headers() {
        assert_eq!(headers["x-key"], "a MARKEDkey");
        assert_eq!(headers["x-other"], "2");
        assert_eq!(headers["content-type"], "application/x-protobuf");
    }
}

/// Nobody notices but the log, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_one_line_and_nothing_else() {
    let nowhere = super::process::free_address();
    let home = Home::new()
        .with(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &format!("http://key:MARKED@{nowhere}"),
        )
        .with("HOOKMIRROR_LOG", "trace");
    let service = home.serve();
    let told = || {
        service
            .stderr()
            .matches("traces do not reach the collector")
            .count()
    };
    home.output(["send", &fixture(CREATED), "--count=20"]);
    wait_until("it is told", || told() > 0);
    home.output(["send", &fixture(CREATED), "--count=20"]);
    wait_until("all are recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 40
    });
    assert_eq!(told(), 1);
    assert!(!service.stderr().contains("MARKED"), "{}", service.stderr());
    service.stop();
}
