//! `events show`.

use anyhow::Context;
use clap::Args;

use super::super::engines::database::existing_store;
use super::super::filter::quoted;
use super::super::output::{or_dash, say, say_json, shown, state, table};
use super::super::{CommandError, Ended};
use crate::config::Config;
use crate::model::event::{EventId, EventKey};
use crate::model::ledger::{Attempt, EventFilter};
use crate::model::replay::ReplayOfEvent;
use crate::model::retention::{Departure, Remains};
use crate::ops::show::{self as ops, EventReport};
use crate::store::Store;

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The event: its id, or {source}/{id}
    event: String,
    /// Show the payload as it is; it holds personal data
    #[arg(long)]
    reveal: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn show(config: &Config, args: ShowArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let key = match EventKey::parse(&args.event) {
        Some(key) => key,
        None => find_by_id(&*store, &args.event).await?,
    };
    let report = ops::show(&*store, &key, args.reveal)
        .await?
        .with_context(|| not_in_the_ledger(&key.to_string()))?;
    if args.json {
        say_json(&report)?;
    } else {
        say(&describe(&report));
    }
    Ok(Ended::Done)
}

fn not_in_the_ledger(event: &str) -> String {
    format!(
        "the ledger has no event {event}: it was not accepted here, or is still queued (see \
         `hookmirror events stats`)"
    )
}

async fn find_by_id(store: &dyn Store, text: &str) -> Result<EventKey, CommandError> {
    let id = EventId::parse(text)
        .ok_or_else(|| CommandError::Usage(format!("{text:?} is not an event id")))?;
    let filter = EventFilter {
        ids: vec![id],
        ..EventFilter::default()
    };
    let found = store.list_events(&filter, 10).await?;
    match found.as_slice() {
        [one] => Ok(one.key.clone()),
        [] => Err(anyhow::anyhow!(not_in_the_ledger(text)).into()),
        several => {
            let keys: Vec<String> = several.iter().map(|event| event.key.to_string()).collect();
            Err(CommandError::Usage(format!(
                "several sources have an event with this id, name one: {}",
                keys.join(", ")
            )))
        }
    }
}

/// What stands first, and after that one section below the other.
fn describe(report: &EventReport) -> String {
    let sections = [
        Some(facts(report)),
        attempts(&report.attempts_log),
        replays(&report.replays),
        Some(payload(report)),
    ];
    let sections: Vec<String> = sections.into_iter().flatten().collect();
    sections.join("\n\n")
}

fn facts(report: &EventReport) -> String {
    let event = &report.summary;
    let mut facts = vec![
        ("event", event.key.to_string()),
        ("type", event.event_type.to_string()),
        ("subject", or_dash(event.subject.as_deref().map(shown))),
        ("state", state(event.state)),
        ("outcome", event.outcome.clone()),
        ("received", event.received_at.to_string()),
        ("applied", or_dash(event.applied_at)),
        ("deliveries", event.deliveries.to_string()),
        ("attempts", event.attempts.to_string()),
    ];
    if let Some(at) = event.next_attempt_at {
        facts.push(("next attempt", at.to_string()));
    }
    if let Some(error) = &event.last_error {
        facts.push(("error", shown(error)));
    }
    if let Some(fingerprint) = &event.fingerprint {
        let more = format!("{fingerprint} (see `hookmirror failures show {fingerprint}`)");
        facts.push(("fingerprint", more));
    }
    let headers = report.headers.values();
    let headers = headers
        .iter()
        .map(|(name, value)| ("header", format!("{name}: {}", shown(value))));
    facts.extend(headers);
    if let Some(subject) = &event.subject {
        let more = format!("hookmirror events timeline {}", quoted(subject));
        facts.push(("timeline", shown(&more)));
    }
    let lines: Vec<String> = facts
        .into_iter()
        .map(|(name, value)| format!("{name:<12} {value}"))
        .collect();
    lines.join("\n")
}

fn attempts(attempts: &[Attempt]) -> Option<String> {
    if attempts.is_empty() {
        return None;
    }
    let rows = attempts.iter().map(|attempt| {
        vec![
            attempt.attempt.to_string(),
            attempt.at.to_string(),
            attempt.trigger.clone(),
            state(attempt.state),
            shown(attempt.error.as_ref().unwrap_or(&attempt.outcome)),
        ]
    });
    let header = ["ATTEMPT", "AT", "TRIGGER", "STATE", "RESULT"];
    Some(table(&header, rows.collect()))
}

fn replays(replays: &[ReplayOfEvent]) -> Option<String> {
    if replays.is_empty() {
        return None;
    }
    let rows = replays.iter().map(|of| {
        vec![
            of.replay.to_string(),
            of.created_at.to_string(),
            shown(&of.operator),
            of.step.to_string(),
            or_dash(of.outcome.as_ref()),
            shown(&of.reason),
        ]
    });
    let header = ["REPLAY", "STARTED", "BY", "STEP", "RESULT", "REASON"];
    Some(table(&header, rows.collect()))
}

fn payload(report: &EventReport) -> String {
    let (text, how) = match (&report.payload, &report.payload_masked) {
        (Some(text), _) => (text, ""),
        (None, Some(text)) => (text, ", masked (--reveal shows what it is)"),
        (None, None) => {
            let why = report.payload_gone.as_ref().map_or_else(
                || "not kept: events of this type carry one-time codes".to_owned(),
                gone,
            );
            return format!("payload      {why}");
        }
    };
    let lines: Vec<String> = text.lines().map(shown).collect();
    let bytes = report.payload_bytes.unwrap_or_default();
    format!("payload      {bytes} bytes{how}\n{}", lines.join("\n"))
}

fn gone(remains: &Remains) -> String {
    let Remains { why, at, sha256 } = remains;
    let because = match why {
        Departure::Pruned => "as it was old",
        Departure::Erased => "as the person it is about was deleted, or somebody asked for it",
    };
    format!("{why} at {at}, {because}; its SHA-256 was {sha256}")
}
