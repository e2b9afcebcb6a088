//! `outbox`: what is not delivered, and what someone does about it.

use super::process::{CLERK_KEY, Home, PAID, fixture, free_address, wait_until};

const ADA: &str = "user_2xPrK8sQvD1nWyB4tGjMzH6cEoU";

/// Paid, and nobody to tell: there is no key.
fn home_with_an_entry() -> Home {
    let home = Home::new().with("USER", "ann");
    let service = home.serve();
    home.output(["send", &fixture(PAID)]);
    wait_until("it is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 1
    });
    drop(service);
    home
}

#[test]
fn an_empty_outbox_has_nothing_to_show() {
    let home = Home::new();
    home.output(["migrate"]);
    let listed = home.output(["outbox", "list"]);
    assert!(
        listed.contains("the outbox is empty; nothing waits"),
        "{listed}"
    );
    let listed = home.json(["outbox", "list", "--json"]);
    assert_eq!(listed["entries"], serde_json::json!([]));
    home.run(["outbox", "show", ADA]).failed_with(1, &[ADA]);
    let retried = home.output(["outbox", "retry", "--all"]);
    assert_eq!(retried, "there is nothing to do\n");
    home.run(["outbox", "retry", ADA])
        .failed_with(1, &["1 user of those named"]);
}

#[test]
fn what_to_retry_and_why_must_be_said() {
    let home = Home::new();
    home.output(["migrate"]);
    home.run(["outbox", "retry"]).failed_with(2, &["--all"]);
    home.run(["outbox", "retry", ADA, "--all"])
        .failed_with(2, &["cannot be used with"]);
    home.run(["outbox", "retry", "--all", "--execute"])
        .failed_with(2, &["--reason"]);
    home.run(["outbox", "retry", "--all", "--execute", "--reason", " "])
        .failed_with(2, &["write one line"]);
    home.run(["outbox", "retry", "--state", "delivered"])
        .failed_with(
            2,
            &["pending, parked, user_gone, discarded", "name the users"],
        );
    home.run(["outbox", "discard"]).failed_with(2, &["USER"]);
    home.run(["outbox", "show", "no one"])
        .failed_with(2, &["not a user id"]);
}

#[test]
fn an_entry_is_given_up_and_taken_up_again() {
    let home = home_with_an_entry();
    let listed = home.output(["outbox", "list"]);
    for fact in [ADA, "pending", "1 pending; the oldest undelivered"] {
        assert!(listed.contains(fact), "no {fact:?} in {listed}");
    }
    let planned = home.run(["outbox", "discard", ADA]);
    assert_eq!(planned.code, Some(3), "{planned:?}");
    assert!(planned.stdout.contains("would give up on 1 entry"));
    let listed = home.json(["outbox", "list", "--json"]);
    assert_eq!(listed["entries"][0]["state"], "pending", "a dry run");

    let reason = ["--execute", "--reason", "a test account"];
    let done = home.output(["outbox", "discard", ADA].into_iter().chain(reason));
    assert!(done.contains("gave up on 1 entry"), "{done}");
    assert!(done.contains("of ann"), "{done}");
    let shown = home.json(["outbox", "show", ADA, "--json"]);
    assert_eq!(shown["state"], "discarded");
    let shown = home.output(["users", "show", ADA]);
    assert!(shown.contains("gave up"), "{shown}");

    let planned = home.run(["outbox", "retry", "--state", "discarded", "--json"]);
    assert_eq!(planned.code, Some(3), "{planned:?}");
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(
        (&plan["action"]["matched"], &plan["action"]["changed"]),
        (&1.into(), &0.into())
    );
    assert_eq!(plan["examples"][0]["user_id"], ADA);
    let who = ["--operator", "bob", "--json"];
    let words = ["outbox", "retry", ADA]
        .into_iter()
        .chain(reason)
        .chain(who);
    let done = home.json(words);
    assert_eq!(
        (&done["action"]["changed"], &done["action"]["operator"]),
        (&1.into(), &"bob".into())
    );
    assert_eq!(done["action"]["reason"], "a test account");
    let shown = home.output(["outbox", "show", ADA]);
    assert!(shown.contains("state        pending"), "{shown}");
}

#[tokio::test]
async fn everything_asked_for_is_on_record() {
    let home = home_with_an_entry();
    home.run(["outbox", "retry", "--all"]);
    home.output(["outbox", "retry", "--all", "--execute", "--reason", "why"]);
    let rows = home
        .count(
            "SELECT COUNT(*) FROM operator_actions WHERE operator = 'ann' \
             AND action = 'outbox retry' AND matched = 1 AND changed = 1 - dry_run \
             AND COALESCE(reason, '') = CASE dry_run WHEN 1 THEN '' ELSE 'why' END",
        )
        .await;
    assert_eq!(rows, 2);
}

#[test]
fn every_attempt_is_shown() {
    let nowhere = format!("http://{}/v1", free_address());
    let home = Home::new()
        .with("CLERK_SECRET_KEY", CLERK_KEY)
        .with("CLERK_API_URL", &nowhere);
    let _service = home.serve();
    home.output(["send", &fixture(PAID)]);
    wait_until("a delivery has failed", || {
        let listed = home.json(["outbox", "list", "--json"]);
        listed["entries"][0]["failures"].as_u64() >= Some(1)
    });
    let shown = home.output(["outbox", "show", ADA]);
    for fact in ["desired", "not known", "retry", "did not answer"] {
        assert!(shown.contains(fact), "no {fact:?} in {shown}");
    }
}
