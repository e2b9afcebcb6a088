//! The private listener of a real process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::process::{CLERK_KEY, Home, PAID, fixture, free_address, wait_until};

const SETTING: &str = "HOOKMIRROR_ADMIN_LISTEN";
const TOKEN: &str = "a-token-that-nobody-guesses";

/// Status and body of a request with these headers.
fn ask(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_shows_on_the_page() {
    let address = free_address();
    // Nobody listens there.
    let nowhere = format!("http://{}/v1", free_address());
    let home = Home::new()
        .with(SETTING, &address.to_string())
        .with("CLERK_SECRET_KEY", CLERK_KEY)
        .with("CLERK_API_URL", &nowhere);
    let anonymous = std::fs::read_to_string(fixture(PAID)).unwrap();
    // Another payment than that of the payload, of another customer, for no user.
    let anonymous = anonymous
        .replace("evt_", "evt_other_")
        .replace("cs_test_", "cs_test_other_")
        .replace("cus_", "cus_other_")
        .replace("\"client_reference_id\"", "\"no_reference\"")
        .replace("\"userId\"", "\"nobody\"");
    let file = home
        .write("anonymous.json", &anonymous)
        .display()
        .to_string();
    let _service = home.serve();
    let (status, page) = ask(address, "/metrics", "");
    assert_eq!(status, 200);
    for line in [
        "hookmirror_oldest_waiting_seconds 0",
        "hookmirror_scrape_errors 0",
        "hookmirror_outbox_depth{state=\"parked\"} 0",
        "hookmirror_queue_depth{queue=\"dead\"} 0",
        "hookmirror_clerk_key_refused 0",
        "hookmirror_clerk_requests_total{outcome=\"delivered\"} 0",
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "no {line} in {page}"
        );
    }
    assert!(page.ends_with("# EOF\n"), "{page}");

    home.output(["send", &file]);
    home.output(["send", &fixture(PAID), "--count=3"]);
    wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 4
    });
    home.change("UPDATE events SET received_at = '2026-01-01T00:00:00.000Z'")
        .await;
    // The page before is told again for a few seconds.
    let value = |name: &str| -> Option<f64> {
        let (_, page) = ask(address, "/metrics", "");
        let mut lines = page.lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    wait_until("the payment that waits is told", || {
        value("hookmirror_waiting_payments").is_some_and(|waiting| waiting > 0.0)
    });
    assert!(value("hookmirror_oldest_waiting_seconds").unwrap() > 86_400.0);
    let waiting = "hookmirror_events_by_state{source=\"stripe\",state=\"waiting\"}";
    assert!(value(waiting).unwrap() >= 1.0);
    wait_until("a request that nobody answered is counted", || {
        value("hookmirror_clerk_requests_total{outcome=\"retry\"}").is_some_and(|tried| tried > 0.0)
    });
    assert!(value("hookmirror_outbox_depth{state=\"pending\"}").unwrap() >= 1.0);

    assert_eq!(ask(address, "/livez", ""), (200, "alive\n".to_owned()));
    assert_eq!(ask(address, "/", "").0, 404);
}

#[test]
fn with_a_token_only_those_who_know_it_are_answered() {
    let address = free_address();
    let home = Home::new()
        .with(SETTING, &address.to_string())
        .with("HOOKMIRROR_ADMIN_TOKEN", TOKEN);
    let _service = home.serve();
    for headers in [
        String::new(),
        format!("authorization: Bearer {TOKEN}x\r\n"),
        format!("authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("authorization: {TOKEN}\r\n"),
        "authorization: Bearer \r\n".to_owned(),
    ] {
        let (status, body) = ask(address, "/metrics", &headers);
        assert_eq!(status, 401, "{headers}");
        assert!(!body.contains("hookmirror_"), "{body}");
        assert_eq!(ask(address, "/elsewhere", &headers).0, 401);
    }
    for scheme in ["Bearer", "bearer"] {
        let headers = format!("authorization: {scheme} {TOKEN}\r\n");
        assert_eq!(ask(address, "/metrics", &headers).0, 200);
    }
    assert_eq!(
        ask(address, "/livez", "").0,
        200,
        "whether it runs is no secret"
    );
}

#[test]
fn an_address_that_was_asked_for_must_be_had() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = Home::new().with(SETTING, &address);
    let ran = home.run(["run"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for word in ["cannot listen on", &address, SETTING] {
        assert!(ran.stderr.contains(word), "no {word:?} in {ran:?}");
    }
}

#[test]
fn beyond_this_machine_there_is_no_listener_without_a_token() {
    let home = Home::new().with(SETTING, "0.0.0.0:0");
    home.run(["run"])
        .failed_with(2, &[SETTING, "HOOKMIRROR_ADMIN_TOKEN"]);
    let home = home.with("HOOKMIRROR_ADMIN_TOKEN", "short");
    home.run(["run"]).failed_with(2, &["16 characters"]);
    let home = home.with("HOOKMIRROR_ADMIN_TOKEN", TOKEN);
    let service = home.serve();
    assert!(service.stderr().contains("metrics are at http://0.0.0.0:"));
    assert!(!service.stderr().contains(TOKEN));
}
