//! A release breaks one handler. The failures are found, understood, previewed and replayed with the
//! next release; nothing is left of them but the record.

use std::collections::BTreeSet;

use hookmirror::cli::demo::stand_in_clerk::StandInClerk;
use serde_json::{Value, json};

use super::bad_release::{BadRelease, ERROR};
use super::{planned, with};
use crate::cli::convergence::{home_with_clerk, rehearse, send, words};
use crate::cli::process::{CREATED, Home, PAID, Patience, UPDATED};
use crate::support::rows::{self, Rows};

const BROKEN: &str = "checkout.session.completed";
const PEOPLE: u64 = 300;

/// All rows but those that say that somebody looked.
async fn rows_of(home: &Home) -> Rows {
    rows::of_sqlite(&mut home.database().await, &["operator_actions"]).await
}

/// The body with this event id, of those that `send` tells of.
fn body_of(dry_run: &str, id: &str) -> Value {
    let mut lines = dry_run.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line
    });
    let line = lines.find(|line| line["id"] == id).unwrap();
    serde_json::from_str(line["body"].as_str().unwrap()).unwrap()
}

/// All texts in it that look like an e-mail address.
fn addresses(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::String(text) if text.contains('@') => BTreeSet::from([text.as_str()]),
        Value::Array(values) => values.iter().flat_map(addresses).collect(),
        Value::Object(entries) => entries.values().flat_map(addresses).collect(),
        _ => BTreeSet::new(),
    }
}

/// The one thing that fails, as whoever was called sees it first. Answers its fingerprint, and one of
/// its events.
fn find(home: &Home) -> (String, String) {
    let groups = home.json(["failures", "--json"]);
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups}");
    let group = &groups[0];
    assert_eq!(
        (&group["state"], &group["failed"], &group["occurrences"]),
        (&json!("open"), &json!(PEOPLE), &json!(PEOPLE))
    );
    assert_eq!(
        (&group["kind"], &group["event_type"], &group["last_error"]),
        (&json!("payload_invalid"), &json!(BROKEN), &json!(ERROR))
    );
    assert_eq!(group["example"]["source"], "stripe");
    let [fingerprint, example] = [&group["fingerprint"], &group["example"]["event_id"]];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(fingerprint), text(example))
}

/// What the example shows: why it failed, and its payload without anybody's address.
fn understand(home: &Home, example: &str, sent: &Value) {
    let addresses = addresses(sent);
    assert!(!addresses.is_empty(), "nothing to hide in {sent}");
    for json in [&[][..], &["--json"]] {
        let shown = home.output(["events", "show", example].iter().chain(json).copied());
        assert!(shown.contains(ERROR), "{shown}");
        let session = sent["data"]["object"]["id"].as_str().unwrap();
        assert!(shown.contains(session), "{shown}");
        for address in &addresses {
            assert!(!shown.contains(address), "{address} in {shown}");
        }
    }
}

/// What would come of a replay, without any trace of it.
async fn preview(home: &Home, fingerprint: &str) {
    let of_these = ["--fingerprint", fingerprint, "--json"];
    let before = rows_of(home).await;
    let plan = planned(home, ["replay", "--preview"].into_iter().chain(of_these));
    assert_eq!(
        (&plan["action"]["matched"], &plan["action"]["changed"]),
        (&json!(PEOPLE), &json!(0))
    );
    assert_eq!(plan["plan"]["events"], PEOPLE);
    let kinds = &plan["plan"]["kinds"];
    assert_eq!(kinds.as_array().unwrap().len(), 1, "{kinds}");
    assert_eq!(
        (
            &kinds[0]["state"],
            &kinds[0]["event_type"],
            &kinds[0]["events"]
        ),
        (&json!("failed"), &json!(BROKEN), &json!(PEOPLE))
    );

    let preview = &plan["preview"];
    assert_eq!(preview["matched"], PEOPLE);
    for event in preview["events"].as_array().unwrap() {
        let then = json!({"state": "applied", "outcome": "payment_recorded"});
        assert_eq!((&event["error"], &event["after"]), (&Value::Null, &then));
    }
    for entity in ["checkout_session", "entitlement", "metadata"] {
        let would_be = with(&preview["entities"], "entity", entity);
        assert_eq!(would_be.len() as u64, PEOPLE, "{entity}");
        for row in would_be {
            assert_eq!(row["change"], "created", "{row}");
        }
    }
    assert_eq!(rows_of(home).await, before, "somebody only looked");
}

/// Replays and watches; answers how many events were done each time that somebody looked.
async fn replay(home: &Home, chosen: [&str; 2], reason: &str) -> (Value, Vec<u64>) {
    let rate = ["--rate", "150", "--execute", "--json", "--reason", reason];
    let started = home.json(["replay"].into_iter().chain(chosen).chain(rate));
    let id = started["replay"].to_string();
    let mut seen = Vec::new();
    let mut patience = Patience::new();
    loop {
        let status = home.json(["replay", "status", &id, "--json"]);
        assert_eq!(status["total"], PEOPLE, "{status}");
        seen.push(status["done"].as_u64().unwrap());
        if status["state"] == "done" {
            return (status, seen);
        }
        patience.look_again().await;
    }
}

/// That what was replayed is what people paid for, and that it was seen to go on.
fn check_replay(status: &Value, seen: &[u64], outcome: &str) {
    assert!(seen.is_sorted(), "{seen:?}");
    let on_the_way = |done: &&u64| (1..PEOPLE).contains(done);
    assert!(seen.iter().find(on_the_way).is_some(), "{seen:?}");
    assert_eq!(
        (&status["done"], &status["cancelled"]),
        (&json!(PEOPLE), &json!(0))
    );
    let outcomes = &status["outcomes"];
    assert_eq!(outcomes.as_array().unwrap().len(), 1, "{outcomes}");
    assert_eq!(
        (
            &outcomes[0]["outcome"],
            &outcomes[0]["state"],
            &outcomes[0]["events"]
        ),
        (&json!(outcome), &json!("applied"), &json!(PEOPLE))
    );
}

/// What everybody did, in order, with the reasons.
fn check_record(home: &Home, fingerprint: &str) {
    let listed = home.json(["actions", "list", "--json"]);
    let actions: Vec<Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|of| {
            assert_eq!(of["operator"], "ann", "{of}");
            json!([
                of["action"],
                of["dry_run"],
                of["matched"],
                of["changed"],
                of["reason"]
            ])
        })
        .collect();
    let expected = [
        json!(["failures acknowledge", false, 1, 1, "looking, OPS-7"]),
        json!(["replay", true, PEOPLE, 0, null]),
        json!(["events preview", true, PEOPLE, 0, null]),
        json!(["replay", false, PEOPLE, PEOPLE, "fixed in 1.4.2, OPS-7"]),
        json!(["failures resolve", false, 1, 1, "fixed in 1.4.2, OPS-7"]),
        json!(["replay", false, PEOPLE, PEOPLE, "to be sure, OPS-7"]),
    ];
    assert_eq!(actions, expected);
    let first = listed.as_array().unwrap().last().unwrap();
    assert_eq!(first["target"]["fingerprint"], json!([fingerprint]));
}

/// What one of those who had paid can be told: it failed, it was replayed, Clerk knows.
fn check_timeline(home: &Home, user: &str, example: &str) {
    let timeline = home.json(["events", "timeline", user, "--json"]);
    let entries = timeline["entries"].as_array().unwrap();
    let place = |what: &str, of: &dyn Fn(&Value) -> bool| {
        let mut entries = entries.iter();
        let found = entries.position(|entry| entry["what"] == what && of(&entry["detail"]));
        found.unwrap_or_else(|| panic!("no such {what} in {timeline}"))
    };
    let attempt = |trigger: &'static str, state: &'static str| {
        place("attempt", &|detail| {
            let attempt = &detail["attempt"];
            detail["event_id"] == example
                && attempt["trigger"] == trigger
                && attempt["state"] == state
        })
    };
    let received = place("event", &|detail| detail["event_id"] == example);
    let failed = attempt("webhook", "failed");
    let mended = attempt("replay:1", "applied");
    let told = place("delivery", &|detail| {
        detail["user_id"] == user && detail["attempt"]["outcome"] == "delivered"
    });
    let again = attempt("replay:2", "applied");
    let order = [received, failed, mended, told, again];
    assert!(order.is_sorted(), "{order:?} in {timeline}");
    assert_eq!(entries[failed]["detail"]["attempt"]["error"], ERROR);
    let deliveries = with(&timeline["entries"], "what", "delivery");
    assert_eq!(deliveries.len(), 1, "{timeline}");
}

fn no_group_fails(home: &Home, state: &str) {
    let groups = home.json(["failures", "--all", "--json"]);
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups}");
    assert_eq!(
        (
            &groups[0]["state"],
            &groups[0]["failed"],
            &groups[0]["retrying"]
        ),
        (&json!(state), &json!(0), &json!(0))
    );
}

/// The bad release receives everything, and ends. Answers what was sent.
async fn a_bad_night(home: &Home, story: &[String]) -> String {
    let bad = BadRelease::start(home, BROKEN).await;
    let report = home.json(words(story).chain(["--json"]));
    assert_eq!(report["accepted"], 3 * PEOPLE, "{report}");
    let failed = bad.work_through(3 * PEOPLE as usize).await;
    assert_eq!(failed as u64, PEOPLE);
    bad.stop().await;
    home.output(words(story).chain(["--dry-run"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bad_release_broke_is_found_understood_and_mended() {
    let (home, clerk): (Home, StandInClerk) = home_with_clerk().await;
    let home = home.with("USER", "ann");
    let story = send(&[CREATED, UPDATED, PAID], "--count 900 --shuffle --seed 51");
    let reference = rehearse(&home, &clerk, &[&story]);
    let sent = a_bad_night(&home, &story).await;

    let (fingerprint, example) = find(&home);
    let fixed = ["--execute", "--reason", "fixed in 1.4.2, OPS-7"];
    let looking = ["--execute", "--reason", "looking, OPS-7"];
    let acknowledge = ["failures", "acknowledge", &fingerprint];
    home.output(acknowledge.into_iter().chain(looking));
    let these = ["--fingerprint", &fingerprint, "--limit=1000", "--json"];
    let listed = home.json(["events", "list"].into_iter().chain(these));
    assert_eq!(with(&listed, "state", "failed").len() as u64, PEOPLE);
    assert_eq!(with(&listed, "event_type", BROKEN).len() as u64, PEOPLE);
    assert_eq!(with(&listed, "event_id", &example).len(), 1);
    let example_sent = body_of(&sent, &example);
    understand(&home, &example, &example_sent);

    let _fixed_release = home.serve();
    home.come_to_rest().await;
    assert_eq!(clerk.writes(), 0, "nobody is known to have paid");
    preview(&home, &fingerprint).await;
    let (status, seen) = replay(&home, ["--fingerprint", &fingerprint], fixed[2]).await;
    check_replay(&status, &seen, "payment_recorded");
    home.come_to_rest().await;
    reference.check(&home, &clerk).await;
    assert_eq!(clerk.writes(), PEOPLE);
    no_group_fails(&home, "acknowledged");
    home.output(
        ["failures", "resolve", &fingerprint]
            .into_iter()
            .chain(fixed),
    );
    assert_eq!(home.json(["failures", "--json"]), json!([]));

    let (status, seen) = replay(&home, ["--type", BROKEN], "to be sure, OPS-7").await;
    check_replay(&status, &seen, "payment_recorded");
    home.come_to_rest().await;
    reference.check(&home, &clerk).await;
    assert_eq!(clerk.writes(), PEOPLE, "a second effect");
    no_group_fails(&home, "resolved");
    check_record(&home, &fingerprint);
    let named = &example_sent["data"]["object"]["client_reference_id"];
    check_timeline(&home, named.as_str().unwrap(), &example);
}
