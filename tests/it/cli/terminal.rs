//! On a terminal of 80 columns, which `script` of util-linux lends us.

use std::process::Command;

use super::process::{CREATED, Home, PAID, Ran, fixture, wait_until};

const ESCAPE: char = '\u{1b}';

/// Runs a command as if somebody sat before it.
fn on_terminal(home: &Home, variables: &[(&str, &str)], arguments: &str) -> String {
    let program = env!("CARGO_BIN_EXE_hookmirror");
    let inner = home.command([]);
    let mut command = Command::new("script");
    command
        .args([
            "-qec",
            &format!("stty cols 80; {program} {arguments}"),
            "/dev/null",
        ])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm")
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .envs(variables.iter().copied())
        .current_dir(home.path())
        .stdin(std::process::Stdio::null());
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

#[test]
fn there_are_colours_unless_somebody_minds() {
    let home = Home::unconfigured();
    assert!(on_terminal(&home, &[], "demo --exit").contains(ESCAPE));
    let plain = on_terminal(&home, &[("NO_COLOR", "1")], "demo --exit");
    assert!(
        plain.contains("checks hold") && !plain.contains(ESCAPE),
        "{plain}"
    );
}

#[test]
fn what_is_there_to_be_copied_is_not_broken() {
    let home = Home::new();
    let service = home.serve();
    home.output(["send", &fixture(CREATED), &fixture(PAID)]);
    wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 2
    });
    drop(service);
    let plain = [("NO_COLOR", "1")];
    let listed = on_terminal(&home, &plain, "events list");
    for line in listed.lines() {
        assert!(line.trim_end().chars().count() <= 80, "too wide: {line}");
    }
    for word in [
        "stripe/evt_1SVnL7LmQ8rTzXwYk2PdHc4B",
        "checkout.session.completed",
        "--json",
    ] {
        assert!(listed.contains(word), "no {word} in {listed}");
    }
    let shown = on_terminal(&home, &plain, "users show user_2xPrK8sQvD1nWyB4tGjMzH6cEoU");
    let session = "cs_test_a1Kq7ZrWvT3nYbLc9XmHdPf2JsGu5RtEoBi8QwNyVk4MzAhDx6CjSpFgTe";
    assert!(shown.contains(session), "{shown}");
}
