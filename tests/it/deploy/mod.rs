//! What is in `deploy/` fits the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hookmirror::cli;
use hookmirror::config::SETTINGS;
use hookmirror::queue::rabbitmq::Topology;
use serde_json::{Value, json};

mod alerts;
mod confinement;
mod figures;
mod promql;
mod runbook;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn read(path: &str) -> String {
    fs::read_to_string(directory().join(path)).unwrap()
}

/// Every file below `deploy/`, with its path there.
fn files() -> Vec<(String, String)> {
    let mut folders = vec![directory()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(directory())
                .unwrap()
                .display()
                .to_string();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(files.len() >= 8, "the files were not found");
    files
}

fn sorted(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().unwrap();
    items.iter().map(Value::to_string).collect()
}

#[test]
fn the_definitions_for_rabbitmq_are_those_that_the_program_declares() {
    let file: Value = serde_json::from_str(&read("rabbitmq/definitions.json")).unwrap();
    let code = serde_json::to_value(Topology::default().definitions()).unwrap();
    for part in ["exchanges", "queues", "bindings"] {
        let mut wanted = code[part].clone();
        for item in wanted.as_array_mut().unwrap() {
            item["vhost"] = json!("hookmirror");
        }
        assert_eq!(sorted(&file[part]), sorted(&wanted), "{part}");
    }
    assert_eq!(file["vhosts"], json!([{ "name": "hookmirror" }]));
}

#[test]
fn only_settings_that_exist_are_set() {
    let known: BTreeSet<&str> = SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.name), setting.alias])
        .flatten()
        .collect();
    let ours = ["HOOKMIRROR_", "CLERK_", "STRIPE_", "AMQP_", "DATABASE_"];
    let mut seen = BTreeSet::new();
    for (file, text) in files() {
        let words =
            text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        for word in words.filter(|word| ours.iter().any(|prefix| word.starts_with(prefix))) {
            assert!(known.contains(word), "{file} names {word}");
            seen.insert(word.to_owned());
        }
    }
    assert!(seen.contains("AMQP_URL") && seen.contains("DATABASE_URL"));
}

#[test]
fn only_commands_that_exist_are_started() {
    let command = cli::command();
    let known: BTreeSet<&str> = command
        .get_subcommands()
        .map(|sub| sub.get_name())
        .collect();
    let mut started = BTreeSet::new();
    for (file, text) in files() {
        for line in text.lines().map(str::trim) {
            let name = [
                "ExecStart=/usr/local/bin/hookmirror ",
                "command: ",
                "args: [\"",
                "CMD [\"",
            ]
            .iter()
            .find_map(|prefix| line.strip_prefix(prefix));
            let Some(name) = name else { continue };
            let name = name.trim_end_matches("\"]");
            assert!(known.contains(name), "{file} starts `{name}`");
            started.insert(name.to_owned());
        }
    }
    let wanted = ["dispatch", "run", "serve", "work"].map(str::to_owned);
    assert_eq!(started, BTreeSet::from(wanted));
}

#[test]
fn images_are_pinned_and_nothing_runs_as_root() {
    for (file, text) in files() {
        for line in text.lines().map(str::trim) {
            let image = ["image: ", "FROM "]
                .iter()
                .find_map(|prefix| line.strip_prefix(prefix));
            if let Some(image) = image {
                assert!(image.contains(':'), "{file}: {image} has no tag");
                assert!(!image.contains("latest"), "{file}: {image}");
            }
        }
    }
    assert!(read("Dockerfile").contains("\nUSER nonroot\n"));
    assert_eq!(
        read("kubernetes/hookmirror.yaml")
            .matches("runAsNonRoot: true")
            .count(),
        3
    );
}

/// What is killed before its own deadline has passed could not finish what it had begun.
#[test]
fn whoever_ends_a_process_waits_longer_than_it_takes() {
    let deadline = SETTINGS
        .iter()
        .find(|setting| setting.name == "HOOKMIRROR_SHUTDOWN_SECONDS")
        .unwrap()
        .default
        .to_string();
    let deadline: u64 = deadline.parse().unwrap();
    let mut graces = 0;
    for (file, text) in files() {
        for line in text.lines().map(str::trim) {
            let grace = [
                "TimeoutStopSec=",
                "stop_grace_period: ",
                "terminationGracePeriodSeconds: ",
            ]
            .iter()
            .find_map(|prefix| line.strip_prefix(prefix));
            let Some(grace) = grace else { continue };
            let grace: u64 = grace.trim_end_matches('s').parse().unwrap();
            assert!(grace > deadline, "{file}: {line}");
            graces += 1;
        }
    }
    assert_eq!(graces, 4 + 1 + 3);
}
