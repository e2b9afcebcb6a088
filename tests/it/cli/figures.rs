//! The page of metrics, name by name, after real events.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::process::{CLERK_KEY, CREATED, Home, PAID, SECRETS, fixture, free_address, wait_until};

/// What a scraper gets: values by name with labels.
pub(crate) struct Page(pub(crate) BTreeMap<String, f64>);

impl Page {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let text = request(address, "GET /metrics HTTP/1.1\r\n", "");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let figures = body.lines().filter(|line| !line.starts_with('#'));
        let figures = figures.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self(figures.collect())
    }

    pub(crate) fn value(&self, name: &str) -> f64 {
        let known = self.0.get(name);
        *known.unwrap_or_else(|| panic!("no {name} in {:#?}", self.0.keys()))
    }

    /// Names with the names of their labels, as the README writes them.
    pub(crate) fn families(&self) -> BTreeSet<String> {
        let keys = self.0.keys().map(|key| {
            let (name, labels) = key.split_once('{').unwrap_or((key, ""));
            let labels = labels.trim_end_matches('}').split(',');
            let labels: Vec<&str> = labels
                .filter_map(|label| Some(label.split_once('=')?.0))
                .filter(|label| *label != "le")
                .collect();
            let is_histogram = self.0.contains_key(&format!(
                "{}_bucket{{le=\"+Inf\"}}",
                name.trim_end_matches("_bucket")
                    .trim_end_matches("_sum")
                    .trim_end_matches("_count")
            ));
            let name = match is_histogram {
                true => name.rsplit_once('_').unwrap().0,
                false => name,
            };
            match labels.is_empty() {
                true => name.to_owned(),
                false => format!("{name}{{{}}}", labels.join(",")),
            }
        });
        keys.collect()
    }
}

fn request(address: SocketAddr, line: &str, rest: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(
        connection,
        "{line}host: {address}\r\nconnection: close\r\n{rest}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// Those that the README's table names.
pub(crate) fn documented() -> BTreeSet<String> {
    let readme = include_str!("../../../README.md");
    let table = readme.lines();
    let table = table.skip_while(|line| !line.starts_with("| metric |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2)
    });
    names.map(str::to_owned).collect()
}

/// The codes in the README's table of answers, of requests that mean to deliver.
fn codes() -> BTreeSet<String> {
    let readme = include_str!("../../../README.md");
    let (_, after) = readme.split_once("## What providers see").unwrap();
    let (answers, _) = after.split_once("## ").unwrap();
    let rows = answers
        .lines()
        .filter(|line| line.starts_with('|') && !line.contains("`GET"));
    let codes = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let codes = codes.filter(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    codes.map(str::to_owned).collect()
}

/// The label of a secret of the test's installation.
fn label(secret: &str) -> String {
    use sha2::{Digest, Sha256};
    format!("1-{}", hex::encode(&Sha256::digest(secret.as_bytes())[..3]))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_metric_is_there_and_counts() {
    let address = free_address();
    // Nobody listens there.
    let nowhere = format!("http://{}/v1", free_address());
    let home = Home::new()
        .with("HOOKMIRROR_ADMIN_LISTEN", &address.to_string())
        .with("CLERK_SECRET_KEY", CLERK_KEY)
        .with("CLERK_API_URL", &nowhere);
    let _service = home.serve();

    // What can be counted is there before anything came.
    let [(_, clerk), (_, stripe)] = SECRETS;
    let used = |source: &str, secret: &str| {
        let label = label(secret);
        format!("hookmirror_secret_last_used_timestamp{{source=\"{source}\",secret=\"{label}\"}}")
    };
    let page = Page::of(address);
    for name in [
        used("clerk", clerk).as_str(),
        &used("stripe", stripe),
        "hookmirror_ingress_requests_total{source=\"stripe\",outcome=\"signature_mismatch\"}",
        "hookmirror_last_event_timestamp{source=\"clerk\"}",
        "hookmirror_dead_letters_total{cause=\"unreadable\"}",
        "hookmirror_oldest_unapplied_seconds",
        "hookmirror_apply_seconds_count",
    ] {
        assert_eq!(page.value(name), 0.0, "{name}");
    }

    home.output(["send", &fixture(CREATED), "--count=3"]);
    home.output(["send", &fixture(CREATED), "--count=3"]);
    home.output(["send", &fixture(PAID)]);
    home.output(["send", &fixture("clerk/session.created.json")]);
    // It cannot be understood, and fails.
    let broken = std::fs::read_to_string(fixture(CREATED)).unwrap();
    let broken = broken.replace("\"updated_at\"", "\"never_updated_at\"");
    let broken = home.write("broken.json", &broken).display().to_string();
    home.output(["send", "--source=clerk", &broken]);
    let forged = "content-length: 2\r\nstripe-signature: t=1,v1=00\r\n\r\n{}";
    request(home.address, "POST /webhooks/stripe HTTP/1.1\r\n", forged);
    for path in [
        "nobody-knows",
        "nor%20this",
        "a/b",
        "x".repeat(300).as_str(),
    ] {
        let line = format!("POST /webhooks/{path} HTTP/1.1\r\n");
        request(home.address, &line, "content-length: 0\r\n");
    }
    request(home.address, "DELETE /webhooks/clerk HTTP/1.1\r\n", "");
    wait_until("all is recorded", || {
        let stats = home.json(["events", "stats", "--json"]);
        stats["recorded"].as_u64() >= Some(6) && stats["queue"]["messages"] == 0
    });

    let failed = "hookmirror_events_by_state{source=\"clerk\",state=\"failed\"}";
    wait_until("the database is asked again", || {
        Page::of(address).0.contains_key(failed)
    });
    let page = Page::of(address);
    let mut documented = documented();
    // No spool without RabbitMQ; and no replay runs.
    let elsewhere = ["hookmirror_spool_", "hookmirror_replay_progress"];
    documented.retain(|name| !elsewhere.iter().any(|begin| name.starts_with(begin)));
    assert_eq!(page.families(), documented, "README.md, \"Metrics\"");

    let requests = |source: &str, outcome: &str| {
        page.value(&format!(
            "hookmirror_ingress_requests_total{{source=\"{source}\",outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!(requests("clerk", "accepted"), 8.0);
    assert_eq!(requests("stripe", "accepted"), 1.0);
    assert_eq!(requests("stripe", "header_malformed"), 1.0);
    assert_eq!(requests("unknown", "unknown_source"), 3.0);
    assert_eq!(requests("unknown", "not_found"), 1.0);
    assert_eq!(requests("unknown", "method_not_allowed"), 1.0);
    let outcomes = page.0.keys().filter_map(|key| {
        let of_clerk = "hookmirror_ingress_requests_total{source=\"clerk\",outcome=\"";
        Some(
            key.strip_prefix(of_clerk)?
                .trim_end_matches("\"}")
                .to_owned(),
        )
    });
    let mut known = codes();
    known.extend(["accepted".to_owned(), "internal".to_owned()]);
    assert_eq!(outcomes.collect::<BTreeSet<_>>(), known);
    let sources = page
        .0
        .keys()
        .filter(|key| key.contains("outcome=\"internal\""));
    assert_eq!(sources.count(), 3, "no source but those, and `unknown`");

    let came_to = |source: &str, event_type: &str, state: &str| {
        page.value(&format!(
            "hookmirror_events_total{{source=\"{source}\",type=\"{event_type}\",state=\"{state}\"}}"
        ))
    };
    assert_eq!(came_to("clerk", "user.created", "applied"), 6.0);
    assert_eq!(came_to("clerk", "user.created", "failed"), 1.0);
    assert_eq!(
        came_to("stripe", "checkout.session.completed", "applied"),
        1.0
    );
    assert_eq!(came_to("clerk", "other", "ignored"), 1.0);
    assert!(page.0.keys().all(|key| !key.contains("session.created")));

    assert_eq!(page.value("hookmirror_ingress_seconds_count"), 13.0);
    assert_eq!(page.value("hookmirror_publish_confirm_seconds_count"), 9.0);
    assert_eq!(page.value("hookmirror_mirror_lag_seconds_count"), 7.0);
    assert!(page.value("hookmirror_mirror_lag_seconds_sum") < 60.0);
    let batches = page.value("hookmirror_apply_batch_size_count");
    assert_eq!(page.value("hookmirror_apply_batch_size_sum"), 9.0);
    assert_eq!(page.value("hookmirror_apply_seconds_count"), batches);

    let started_at = page.value("hookmirror_start_time_seconds");
    for name in [
        used("clerk", clerk).as_str(),
        &used("stripe", stripe),
        "hookmirror_last_event_timestamp{source=\"clerk\"}",
        "hookmirror_last_event_timestamp{source=\"stripe\"}",
    ] {
        let at = page.value(name);
        assert!(
            (started_at..started_at + 600.0).contains(&at),
            "{name} {at}"
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("hookmirror_build_info{{version=\"{version}\"}}");
    assert_eq!(page.value(&build), 1.0);

    // What failed stays the oldest that is not applied.
    home.change(
        "UPDATE events SET received_at = '2026-01-01T00:00:00.000Z' WHERE state = 'failed'",
    )
    .await;
    wait_until("the failed event is told of", || {
        Page::of(address).value("hookmirror_oldest_unapplied_seconds") > 86_400.0
    });
}

/// What is in the queue has not had its effect either, and the ledger does not know it yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_queue_is_the_oldest_that_is_not_applied() {
    let address = free_address();
    let home = Home::new().with("HOOKMIRROR_ADMIN_LISTEN", &address.to_string());
    let _service = home.serve();
    let held = home.hold_database().await;
    home.output(["send", &fixture(CREATED)]);
    wait_until("the oldest grows older", || {
        let page = Page::of(address);
        page.value("hookmirror_oldest_unapplied_seconds") >= 1.0
            && page.value("hookmirror_queue_depth{queue=\"work\"}") == 1.0
    });
    drop(held);
    wait_until("it is applied", || {
        Page::of(address).value("hookmirror_oldest_unapplied_seconds") == 0.0
    });
}
