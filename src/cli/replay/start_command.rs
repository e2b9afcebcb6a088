//! The command that does what a plan has told.

use super::super::acting::ActingArgs;
use crate::model::replay::{ReplayRate, ReplayScope};

/// What to type, ready for a shell.
pub(super) fn start_command(scope: &ReplayScope, rate: ReplayRate, acting: &ActingArgs) -> String {
    let filter = &scope.filter;
    let mut options: Vec<(&str, String)> = Vec::new();
    for state in &filter.states {
        options.push(("--state", state.to_string()));
    }
    if let Some(source) = &filter.source {
        options.push(("--source", source.to_string()));
    }
    let texts = [
        ("--type", &filter.event_type),
        ("--subject", &filter.subject),
        ("--fingerprint", &filter.fingerprint),
        ("--error", &filter.error),
    ];
    for (name, text) in texts {
        options.extend(text.iter().map(|text| (name, text.clone())));
    }
    for (name, time) in [("--since", filter.since), ("--until", filter.until)] {
        options.extend(time.iter().map(|time| (name, time.to_string())));
    }
    for id in &filter.ids {
        options.push(("--id", id.to_string()));
    }
    if let Some(limit) = scope.limit {
        options.push(("--limit", limit.to_string()));
    }
    if rate != ReplayRate::DEFAULT {
        options.push(("--rate", rate.per_second().to_string()));
    }
    if let Some(operator) = acting.given_operator() {
        options.push(("--operator", operator.to_string()));
    }
    let reason = acting.reason().map_or("TEXT", |reason| reason.as_str());
    options.push(("--reason", reason.to_owned()));

    let mut command = "hookmirror replay".to_owned();
    if *filter == Default::default() {
        command.push_str(" --all");
    }
    for (name, value) in options {
        command.push_str(&format!(" {name} {}", quoted(&value)));
    }
    command.push_str(" --execute");
    command
}

/// Text that a shell takes as one word, as it is.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@+,".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
