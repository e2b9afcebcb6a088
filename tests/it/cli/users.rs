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

/// A name is whatever its owner typed, and may be meant for the terminal of whoever looks.
#[test]
fn names_and_payloads_do_not_command_the_terminal() {
    let home = Home::new();
    let _service = home.serve();
    let created = std::fs::read_to_string(fixture(CREATED)).unwrap();
    let name = [r"Ada\u001b]0;mine\u0007\n", "\u{9b}", "2J"].concat();
    let hostile = created.replacen(
        r#""first_name": "Ada""#,
        &format!(r#""first_name": "{name}""#),
        1,
    );
    assert_ne!(created, hostile);
    let file = home.write("hostile.json", &hostile).display().to_string();
    home.output(["send", &file]);
    wait_until("it is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 1
    });
    let listed = home.json(["events", "list", "--json"]);
    let event = listed[0]["event_id"].as_str().unwrap();
    let user = home.output(["users", "show", ADA]);
    let event = home.output(["events", "show", event, "--reveal"]);
    for shown in [&user, &event] {
        let commands = shown.chars().filter(|c| c.is_control() && *c != '\n');
        assert_eq!(commands.count(), 0, "{shown:?}");
    }
    assert!(event.contains(r"\u{9b}2J"), "{event}");
    // Nor does a name begin a line of its own.
    let name = r"Ada\u{1b}]0;mine\u{7}\n\u{9b}2J Lindqvist";
    assert!(user.contains(name), "{user}");
}
