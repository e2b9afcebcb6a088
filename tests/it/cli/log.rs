//! What a service logs of the events that it takes: enough to work with, and nothing personal.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::process::{CLERK_KEY, CREATED, Home, PAID, fixture, free_address, wait_until};
use super::traces::{deliver, traceparent};

/// What a sender may plant anywhere in a body, and what stands in the fixtures.
const PRIVATE: [&str; 7] = [
    "ada.lindqvist",
    "Lindqvist",
    "@example",
    "PLANTED",
    "whsec_",
    "sk_test",
    "v1=",
];

#[test]
fn no_line_holds_a_body_a_secret_or_a_person_at_any_level() {
    let nowhere = format!("http://{}/v1", free_address());
    let home = Home::new()
        .with("HOOKMIRROR_LOG", "trace")
        .with("CLERK_SECRET_KEY", CLERK_KEY)
        .with("CLERK_API_URL", &nowhere);
    let service = home.serve();
    let created = std::fs::read_to_string(fixture(CREATED)).unwrap();
    let hostile = [
        created.replace("\"updated_at\": ", "\"updated_at\": \"PLANTED\", \"was\": "),
        created.replace(
            "\"email_addresses\": [",
            "\"email_addresses\": [\"PLANTED\", ",
        ),
        created.replace(
            "\"public_metadata\": {",
            "\"public_metadata\": {\"PLANTED\\u0000\": \"PLANTED\", ",
        ),
        "{\"type\":\"user.created\",\"data\":{\"id\":\"PLANTED PLANTED\"}}".to_owned(),
        "PLANTED, and no JSON".to_owned(),
    ];
    for (number, body) in hostile.iter().enumerate() {
        let file = home.write(&format!("hostile-{number}.json"), body);
        home.run(["send", "--source=clerk", file.to_str().unwrap()]);
    }
    home.output(["send", &fixture(CREATED), &fixture(PAID)]);
    home.output(["send", &fixture("clerk/email.created.json")]);
    // Refused, with what should not be there in every place.
    for request in [
        "POST /webhooks/PLANTED HTTP/1.1\r\ncontent-length: 7\r\n\r\nPLANTED",
        "POST /webhooks/clerk?PLANTED HTTP/1.1\r\nsvix-id: PLANTED\r\ncookie: PLANTED\r\n\r\n",
        "POST /webhooks/stripe HTTP/1.1\r\nstripe-signature: t=1,v1=PLANTED\r\n\r\n",
        "PLANTED /PLANTED HTTP/1.1\r\nauthorization: Bearer PLANTED\r\n\r\n",
    ] {
        let mut connection = TcpStream::connect(home.address).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        connection.read_to_string(&mut String::new()).unwrap();
    }
    wait_until("all is recorded, and Clerk was tried", || {
        let stats = home.json(["events", "stats", "--json"]);
        stats["queue"]["messages"] == 0
            && stats["recorded"].as_u64() >= Some(7)
            && service.stderr().contains("not delivered yet")
    });
    let log = service.stop();
    assert!(log.contains("failed; see") && log.contains("webhook refused"));
    assert!(
        log.contains("TRACE") || log.contains("\"level\":\"DEBUG\""),
        "details were asked for"
    );
    for private in PRIVATE {
        let line = log.lines().find(|line| line.contains(private));
        assert_eq!(line, None, "{private} was logged");
    }
}

#[test]
fn a_line_of_an_event_has_all_that_is_to_be_searched_for() {
    let home = Home::new();
    let service = home.serve();
    assert_eq!(deliver(home.address, PAID, &traceparent()), 202);
    wait_until("it is told", || {
        service.stderr().contains("payment_recorded")
    });
    let log = service.stop();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut lines: Vec<Value> = lines
        .filter(|line: &Value| line["outcome"] == "payment_recorded")
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    let line = lines.remove(0);
    let told = |field: &str| {
        line[field]
            .as_str()
            .unwrap_or_else(|| panic!("{field}: {line}"))
    };
    assert_eq!(told("event.source"), "stripe");
    assert_eq!(told("event.type"), "checkout.session.completed");
    assert_eq!(told("event.state"), "applied");
    assert_eq!(told("trigger"), "webhook");
    assert!(told("event.subject").starts_with("cs_test_"));
    assert!(traceparent().contains(told("trace_id")));
    assert!(line["lag_ms"].as_u64().is_some_and(|lag| lag < 60_000));
    let words = format!(
        "stripe checkout.session.completed {}: applied, payment_recorded",
        told("event.id")
    );
    assert_eq!(told("message"), words, "as text it says the same");
}
