//! What `--help` says, word for word, and that the tree of commands is sound.

use super::process::Home;
use crate::support::golden;

/// Compares with a file of `golden/`.
fn golden(name: &str, seen: &str) {
    // clap ends lines with spaces, and editors take them away.
    let seen: String = seen
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    golden::compare(&format!("tests/it/cli/golden/{name}.txt"), &seen);
}

#[test]
fn the_tree_of_commands_is_sound() {
    hookmirror::cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself() {
    let home = Home::unconfigured();
    let mut stack = vec![(Vec::<String>::new(), hookmirror::cli::command())];
    let mut seen = 0;
    while let Some((path, command)) = stack.pop() {
        let words = path.iter().map(String::as_str).chain(["--help"]);
        let help = home.output(words);
        let name = std::iter::once("hookmirror")
            .chain(path.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("-");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{help}"
        );
        golden(&name, &help);
        seen += 1;
        for subcommand in command.get_subcommands() {
            let mut path = path.clone();
            path.push(subcommand.get_name().to_owned());
            stack.push((path, subcommand.clone()));
        }
    }
    assert_eq!(seen, 30, "one file for each command");
}

#[test]
fn wrong_usage_is_told_on_standard_error() {
    let home = Home::unconfigured();
    home.run([])
        .failed_with(2, &["Usage: hookmirror <COMMAND>"]);
    home.run(["rum"]).failed_with(2, &["'rum'", "'run'"]);
    home.run(["events", "list", "--state", "broken"])
        .failed_with(2, &["not a state", "retrying"]);
    home.run(["events", "list", "--since", "yesterday"])
        .failed_with(2, &["not a time", "2026-11-21"]);
    home.run(["events", "list", "--limit", "0"])
        .failed_with(2, &["--limit"]);
    assert!(home.output(["--version"]).starts_with("hookmirror 0."));
}
