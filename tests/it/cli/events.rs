//! `events`: on databases that are missing, empty and full.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use super::process::{CREATED, Home, PAID, UPDATED, fixture};

#[test]
fn a_missing_database_is_a_failure_and_is_not_created() {
    let home = Home::new();
    let database = home.data_dir().join("mirror.db").display().to_string();
    for command in [
        &["events", "list"][..],
        &["events", "stats", "--json"],
        &["events", "show", "evt_1"],
        &["users", "show", "user_1"],
    ] {
        home.run(command.iter().copied())
            .failed_with(1, &["no database", &database, "DATABASE_URL"]);
    }
    assert!(!home.data_dir().exists());
}

#[test]
fn an_empty_database_has_nothing_to_show() {
    let home = Home::new();
    home.output(["migrate"]);
    assert_eq!(home.output(["events", "list"]), "no events match\n");
    assert_eq!(home.output(["events", "list", "--json"]), "[]\n");
    let stats = home.output(["events", "stats"]);
    assert!(stats.starts_with("0 accepted = 0 in the ledger"), "{stats}");
    let stats = home.json(["events", "stats", "--json"]);
    assert_eq!(stats["accepted"], 0);
    assert_eq!(stats["states"], serde_json::json!([]));
    home.run(["events", "show", "evt_1"])
        .failed_with(1, &["no event", "evt_1"]);
    home.run(["events", "show", "stripe/evt_1"])
        .failed_with(1, &["stripe/evt_1"]);
    home.run(["events", "show", "not an id"])
        .failed_with(2, &["not an event id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_by_what_is_known_of_them() {
    let home = Home::new();
    let _service = home.serve();
    home.write(
        "odd.json",
        r#"{"type":"user.updated","data":{"id":7},"timestamp":1}"#,
    );
    home.output([
        "send",
        &fixture(CREATED),
        &fixture(UPDATED),
        &fixture(PAID),
        "odd.json",
    ]);
    home.output(["send", &fixture(PAID), "--count=30"]);
    crate::cli::process::wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 33
    });

    let count = |arguments: &[&str]| {
        let words = ["events", "list", "--json"].into_iter();
        let events = home.json(words.chain(arguments.iter().copied()));
        events.as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 33);
    assert_eq!(count(&["--limit=5"]), 5);
    assert_eq!(count(&["--source=clerk"]), 3);
    assert_eq!(count(&["--type=checkout.*"]), 30);
    assert_eq!(count(&["--type=user.?reated"]), 1);
    assert_eq!(count(&["--state=failed", "--state=ignored"]), 1);
    assert_eq!(count(&["--error=NOT TEXT"]), 1);
    assert_eq!(count(&["--subject=user_2xPrK8sQvD1nWyB4tGjMzH6cEoU"]), 2);
    assert_eq!(count(&["--since=2020-01-01"]), 33);
    assert_eq!(count(&["--until=2020-01-01T00:00:00Z"]), 0);

    let failed = home.json(["events", "list", "--state=failed", "--json"]);
    let id = failed[0]["event_id"]
        .as_str()
        .or(failed[0]["id"].as_str())
        .unwrap();
    let shown = home.output(["events", "show", id]);
    for fact in [
        "state        failed",
        "payload_invalid",
        "fingerprint",
        "--reveal",
    ] {
        assert!(shown.contains(fact), "no {fact:?} in {shown}");
    }
    assert!(!shown.contains("\"id\":7"), "{shown}");
    let shown = home.json(["events", "show", id, "--json"]);
    assert_eq!(shown["state"], "failed");
    assert_eq!(shown.get("payload"), None);
    let masked = shown["payload_masked"].as_str().unwrap();
    assert!(masked.contains("\"id\":0"), "{masked}");
    assert!(masked.contains("\"type\":\"user.updated\""), "{masked}");
    let shown = home.json(["events", "show", id, "--json", "--reveal"]);
    assert!(shown["payload"].as_str().unwrap().contains("\"id\":7"));

    // Page after page, as each says.
    let mut words = vec![
        "events".to_owned(),
        "list".to_owned(),
        "--limit=8".to_owned(),
    ];
    words.extend(["--type".to_owned(), "*.*".to_owned()]);
    let mut seen = Vec::new();
    loop {
        let page = home.output(words.iter().map(String::as_str));
        let events = page.lines().filter(|line| line.contains('/'));
        let events: Vec<&str> = events.filter_map(|line| line.split(' ').next()).collect();
        seen.extend(
            events
                .iter()
                .filter(|key| key.contains('/'))
                .map(|key| (*key).to_owned()),
        );
        let Some((_, command)) = page.split_once("there are more: hookmirror ") else {
            break;
        };
        assert!(
            command.contains("--type '*.*' --limit 8 --after "),
            "{command}"
        );
        words = command
            .split_whitespace()
            .map(|word| word.replace('\'', ""))
            .collect();
    }
    assert_eq!(seen.len(), 33);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 33, "each once");
    home.run(["events", "list", "--after", "stripe/evt_none"])
        .failed_with(1, &["stripe/evt_none", "last line"]);
    home.run(["events", "list", "--after", "evt_none"])
        .failed_with(2, &["{source}/{id}"]);

    let told = home.output(["events", "timeline", "user_2xPrK8sQvD1nWyB4tGjMzH6cEoU"]);
    for fact in [
        "received user.created",
        "received checkout.session.completed",
        "applied",
    ] {
        assert!(told.contains(fact), "no {fact:?} in {told}");
    }
    let told = home.output(["events", "timeline", "cs_none"]);
    assert_eq!(told, "nothing is known of cs_none\n");

    let stats = home.output(["events", "stats"]);
    assert!(stats.contains("33 accepted = 33 in the ledger"), "{stats}");
    assert!(!stats.contains('\u{1b}'));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::new();
    let service = home.serve();
    home.output(["send", &fixture(CREATED), "--count=1500"]);
    crate::cli::process::wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 1500
    });
    drop(service);
    for format in [None, Some("--json")] {
        // More than a pipe holds.
        let words = ["events", "list", "--limit=1500"].into_iter().chain(format);
        let mut child = home
            .command(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::with_capacity(64, child.stdout.take().unwrap());
        if format.is_none() {
            let mut first = String::new();
            stdout.read_line(&mut first).unwrap();
            assert!(first.starts_with("EVENT"), "{first}");
        }
        drop(stdout);
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    }
}
