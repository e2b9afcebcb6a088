//! `replay`: from the plan to its end.

use serde_json::{Value, json};

use super::process::{CREATED, Home, PAID, fixture, wait_until};

const WHY: [&str; 3] = ["--execute", "--reason", "fixed in 1.4.2"];

/// A service that has recorded some events, one of them failed.
fn home_with_events() -> (Home, super::process::Running) {
    let home = Home::new().with("USER", "ann");
    let service = home.serve();
    home.write(
        "odd.json",
        r#"{"type":"user.updated","data":{"id":7},"timestamp":1}"#,
    );
    home.output(["send", &fixture(CREATED), &fixture(PAID), "odd.json"]);
    wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 3
    });
    (home, service)
}

fn until_done(home: &Home, id: &str) -> Value {
    let mut status = Value::Null;
    wait_until("the replay is done", || {
        status = home.json(["replay", "status", id, "--json"]);
        status["state"] == "done"
    });
    status
}

#[test]
fn what_to_replay_and_why_must_be_said() {
    let home = Home::new();
    home.output(["migrate"]);
    home.run(["replay"]).failed_with(2, &["--all", "--state"]);
    home.run(["replay", "--all", "--state", "failed"])
        .failed_with(2, &["--all"]);
    home.run(["replay", "--all", "--execute"])
        .failed_with(2, &["--reason"]);
    for rate in ["0", "1001", "fast"] {
        home.run(["replay", "--all", "--rate", rate])
            .failed_with(2, &["1 to 1000"]);
    }
    home.run(["replay", "status", "seven"])
        .failed_with(2, &["not the number"]);
    home.run(["replay", "status", "7"])
        .failed_with(1, &["no replay 7", "replay list"]);
    home.run(["replay", "cancel", "7"])
        .failed_with(1, &["no replay 7"]);
    home.run(["replay", "status", "7", "--events"])
        .failed_with(1, &["no replay 7"]);
    assert_eq!(home.output(["replay", "list"]), "there are no replays\n");
    let nothing = home.output(["replay", "--all"]);
    assert_eq!(nothing, "no events match that could be replayed\n");
    let nothing = home.output(["replay", "--all"].into_iter().chain(WHY));
    assert_eq!(nothing, "no events match that could be replayed\n");
}

#[test]
fn a_plan_ends_with_the_command_that_does_it() {
    let (home, _service) = home_with_events();
    let planned = home.run([
        "replay", "--type", "user.*", "--state", "failed", "--rate", "7",
    ]);
    assert_eq!(planned.code, Some(3), "{planned:?}");
    for words in [
        "would replay 1 event",
        "user.updated",
        "at 7/s that takes 1 s",
    ] {
        assert!(planned.stdout.contains(words), "no {words:?}: {planned:?}");
    }
    let last = planned.stdout.lines().last().unwrap().trim();
    let expected =
        "hookmirror replay --state failed --type 'user.*' --rate 7 --execute --reason TEXT";
    assert_eq!(last, expected);
    let planned = home.run([
        "replay",
        "--all",
        "--reason",
        "it's fixed",
        "--operator",
        "bob",
    ]);
    let last = planned.stdout.lines().last().unwrap().trim();
    let expected = r"hookmirror replay --all --operator bob --execute --reason 'it'\''s fixed'";
    assert_eq!(last, expected);
    assert_eq!(home.output(["replay", "list"]), "there are no replays\n");

    let planned = home.run(["replay", "--all", "--json"]);
    assert_eq!(planned.code, Some(3));
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(plan["plan"]["events"], 3);
    assert_eq!(
        (&plan["action"]["matched"], &plan["action"]["changed"]),
        (&json!(3), &json!(0))
    );
}

#[test]
fn a_replay_runs_in_the_workers_and_is_told() {
    let (home, service) = home_with_events();
    let started = home.output(["replay", "--all"].into_iter().chain(WHY));
    for words in ["replay 1 has begun: 3 events", "of ann", "status 1 --watch"] {
        assert!(started.contains(words), "no {words:?}: {started}");
    }
    // Nothing else waits here: it is over when this returns.
    let status = home.json(["replay", "status", "1", "--watch", "--json"]);
    assert_eq!(status["state"], "done", "{status}");
    assert_eq!((&status["done"], &status["total"]), (&json!(3), &json!(3)));
    assert_eq!(status["reason"], "fixed in 1.4.2");
    let told = home.output(["replay", "status", "1", "--events"]);
    for words in [
        "processed    3",
        "payload_invalid",
        "user_unchanged",
        "POSITION",
    ] {
        assert!(told.contains(words), "no {words:?}: {told}");
    }
    let events = home.json([
        "replay", "status", "1", "--events", "--after", "2", "--json",
    ]);
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
    assert_eq!(events["events"][0]["position"], 3);

    let failed = home.json(["events", "list", "--state", "failed", "--json"]);
    let id = failed[0]["event_id"].as_str().unwrap().to_owned();
    let shown = home.json(["events", "show", &id, "--json"]);
    assert_eq!(shown["replays"][0]["replay"], 1);
    assert_eq!(shown["attempts_log"][1]["trigger"], "replay:1");
    let shown = home.output(["events", "show", &id]);
    assert!(shown.contains("fixed in 1.4.2"), "{shown}");

    // What nobody processes can be cancelled, and does not begin after it.
    drop(service);
    let again = ["replay", "--id", &id, "--json"].into_iter().chain(WHY);
    assert_eq!(home.json(again)["replay"], 2);
    let planned = home.run(["replay", "cancel", "2"]);
    assert_eq!(planned.code, Some(3), "{planned:?}");
    assert!(planned.stdout.contains("would cancel"), "{planned:?}");
    let ended = home.output(["replay", "cancel", "2"].into_iter().chain(WHY));
    assert!(
        ended.contains("0 of 1 event were processed, 1 will not be"),
        "{ended}"
    );
    let ended = home.output(["replay", "cancel", "2"].into_iter().chain(WHY));
    assert!(
        ended.contains("nothing to cancel: replay 2 is cancelled"),
        "{ended}"
    );
    let listed = home.json(["replay", "list", "--json"]);
    let states: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["state"])
        .collect();
    assert_eq!(states, ["cancelled", "done"]);
    let _service = home.serve();
    let shown = home.json(["events", "show", &id, "--json"]);
    assert_eq!(shown["attempts"], 2);
}

/// The terminal, the service, everything ends in the middle.
#[test]
fn a_replay_survives_a_restart() {
    let (home, service) = home_with_events();
    home.output(["send", &fixture(CREATED), "--count", "60"]);
    wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 63
    });
    home.output(["replay", "--all", "--rate", "20"].into_iter().chain(WHY));
    wait_until("it is under way", || {
        let status = home.json(["replay", "status", "1", "--json"]);
        status["done"].as_u64() >= Some(5)
    });
    service.kill();
    let status = home.json(["replay", "status", "1", "--json"]);
    assert_eq!(status["state"], "running", "it is over too soon");
    let _service = home.serve();
    let status = until_done(&home, "1");
    assert_eq!(status["done"], 63);
    let events = home.json(["events", "list", "--limit", "100", "--json"]);
    for event in events.as_array().unwrap() {
        assert_eq!(event["attempts"], 2, "{event}");
    }
}
