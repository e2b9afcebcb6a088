//! `users show`: the same person from every side.

use super::process::{CREATED, DELETED, Home, PAID, UPDATED, fixture, wait_until};

const ADA: &str = "user_2xPrK8sQvD1nWyB4tGjMzH6cEoU";

fn receive(home: &Home, files: &[&str], recorded: u64) {
    let files: Vec<String> = files.iter().map(|file| fixture(file)).collect();
    home.output(["send"].into_iter().chain(files.iter().map(String::as_str)));
    wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == recorded
    });
}

#[test]
fn a_user_is_shown_from_the_first_payment_to_the_deletion() {
    let home = Home::new();
    let _service = home.serve();
    home.run(["users", "show", ADA])
        .failed_with(1, &["nothing is known", ADA]);
    home.run(["users", "show", "no one"])
        .failed_with(2, &["not a user id"]);

    receive(&home, &[PAID], 1);
    let shown = home.output(["users", "show", ADA]);
    for fact in [
        "not mirrored",
        "is paid",
        "4900 eur",
        "set CLERK_SECRET_KEY",
    ] {
        assert!(shown.contains(fact), "no {fact:?} in {shown}");
    }
    let shown = home.json(["users", "show", ADA, "--json"]);
    assert_eq!(shown["user"], serde_json::Value::Null);
    assert_eq!(shown["entitlement"]["paid"], true);
    assert_eq!(shown["outbox"]["state"], "pending");

    receive(&home, &[CREATED, UPDATED], 3);
    let shown = home.output(["users", "show", ADA]);
    for fact in [
        "Ada Lindqvist",
        "ada.lindqvist@example.com",
        "paid: checkout cs_test_",
    ] {
        assert!(shown.contains(fact), "no {fact:?} in {shown}");
    }
    let shown = home.json(["users", "show", ADA, "--json"]);
    assert_eq!(shown["user"]["first_name"], "Ada");

    receive(&home, &[DELETED], 4);
    let shown = home.output(["users", "show", ADA]);
    assert!(shown.contains("deleted at"), "{shown}");
    assert!(!shown.contains("Lindqvist"), "{shown}");
    let shown = home.json(["users", "show", ADA, "--json"]);
    assert_eq!(shown["user"], serde_json::Value::Null);
    assert!(shown["deleted_at"].is_string());
}
