//! The runbook can be followed at night: a section for each alert, and commands that exist.

use std::collections::BTreeSet;

use hookmirror::cli;

use super::alerts::alerts;
use super::read;

/// The sections of alerts: their heading, and what stands below it.
fn sections() -> Vec<(String, String)> {
    let text = read("runbook.md");
    let sections = text.split("\n### ").skip(1).map(|section| {
        let section = section.split("\n## ").next().unwrap();
        let (heading, body) = section.split_once('\n').unwrap();
        (heading.to_owned(), body.to_owned())
    });
    sections.collect()
}

/// The commands of this program in blocks of a shell, without comments.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines);
    let lines = lines.filter(|line| line.starts_with("hookmirror "));
    let without_comment = |line: &str| line.split(" #").next().unwrap().trim().to_owned();
    lines.map(without_comment).collect()
}

/// As a shell splits them; quotes are single, and nothing is escaped.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in command.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let written: Vec<String> = sections().into_iter().map(|(heading, _)| heading).collect();
    let wanted: Vec<String> = alerts().into_iter().map(|alert| alert.name).collect();
    let (sorted, mut expected) = (written.iter().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(sorted.len(), written.len(), "a section is there twice");
    expected.sort();
    assert!(sorted.into_iter().eq(&expected), "{written:#?}");
}

#[test]
fn every_section_goes_from_what_it_means_to_when_it_is_over() {
    for (alert, body) in sections() {
        let mut rest = body.as_str();
        for part in ["Means", "Look", "Do", "Stop", "Over"] {
            let heading = format!("**{part}.** ");
            let bare = format!("**{part}.**\n");
            let at = rest.find(&heading).or_else(|| rest.find(&bare));
            let at = at.unwrap_or_else(|| panic!("{alert}: no **{part}.** in its place"));
            rest = &rest[at + part.len()..];
        }
    }
}

#[test]
fn every_command_can_be_typed() {
    let commands = commands(&read("runbook.md"));
    assert!(commands.len() > 80, "the commands were not found");
    let wrong: BTreeSet<String> = commands
        .into_iter()
        .filter(|command| cli::command().try_get_matches_from(words(command)).is_err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nobody is led to change something that was not looked at first.
#[test]
fn what_changes_something_is_shown_as_a_dry_run_first() {
    let mut executed = 0;
    for (alert, body) in sections() {
        let mut before = String::new();
        for command in commands(&body) {
            if let Some((dry_run, rest)) = command.split_once(" --execute") {
                assert_eq!(dry_run, before, "{alert}");
                assert!(rest.starts_with(" --reason '"), "{alert}: {command}");
                executed += 1;
            }
            before = command;
        }
    }
    assert!(executed > 10, "{executed}");
}

/// A name in the text that is no alert leads nowhere.
#[test]
fn what_a_section_refers_to_is_there() {
    let known: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    let text = read("runbook.md");
    let names = text.split(|c: char| !c.is_ascii_alphanumeric());
    for name in names.filter(|name| name.starts_with("Hookmirror")) {
        assert!(known.contains(name), "{name}");
    }
}
