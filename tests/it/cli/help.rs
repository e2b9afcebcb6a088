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
    assert_eq!(seen, 46, "one file for each command");
}

/// The commands that do something, each with the words that call it.
fn leaves() -> Vec<(Vec<String>, clap::Command)> {
    let mut stack = vec![(vec!["hookmirror".to_owned()], hookmirror::cli::command())];
    let mut leaves = Vec::new();
    while let Some((path, command)) = stack.pop() {
        if !command.has_subcommands() {
            leaves.push((path, command));
            continue;
        }
        for subcommand in command.get_subcommands() {
            let mut path = path.clone();
            path.push(subcommand.get_name().to_owned());
            stack.push((path, subcommand.clone()));
        }
    }
    leaves
}

/// The words of a line as a shell sees them: `'…'` is one, and what is behind a wide gap or a
/// redirection is for somebody else.
fn words(line: &str) -> Vec<String> {
    let line = line.split("   ").next().unwrap();
    let line = line.split(" > ").next().unwrap();
    let line = line.split(" | ").next().unwrap();
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_command_has_examples_that_can_be_typed() {
    for (path, command) in leaves() {
        let path = path.join(" ");
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let help = help.split("\\\n").map(str::trim_start).collect::<String>();
        assert!(help.starts_with("Example"), "`{path}` has no example");
        let examples: Vec<&str> = help
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| line.starts_with("hookmirror "))
            .collect();
        assert!(!examples.is_empty(), "`{path}` has no example");
        for example in examples {
            assert!(
                example.starts_with(&path),
                "{example:?} is not about `{path}`"
            );
            let parsed = hookmirror::cli::command().try_get_matches_from(words(example));
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn every_shell_gets_its_completions() {
    let home = Home::unconfigured();
    for (shell, word) in [
        ("bash", "complete -F _hookmirror"),
        ("zsh", "#compdef hookmirror"),
        ("fish", "complete -c hookmirror"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[hookmirror]"),
    ] {
        let script = home.output(["completions", shell]);
        for word in [word, "attribute", "reason"] {
            assert!(script.contains(word), "no {word:?} for {shell}");
        }
    }
    home.run(["completions", "csh"])
        .failed_with(2, &["csh", "bash, elvish"]);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = Home::unconfigured();
    let page = home.output(["man"]);
    assert!(page.contains(".TH hookmirror 1"), "{page}");
    home.output(["man", "--output", "deep/man1"]);
    for (path, _) in leaves() {
        let page = home
            .path()
            .join("deep/man1")
            .join(format!("{}.1", path.join("-")));
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(page.contains("Example"), "{page}");
    }
    let hookmirror = home.path().join("deep/man1/hookmirror.1");
    assert!(hookmirror.is_file());
    home.write("file", "");
    home.run(["man", "--output", "file"])
        .failed_with(1, &["cannot create file"]);
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
