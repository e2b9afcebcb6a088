//! `events show`.

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::super::engines::database::existing_store;
use super::super::filter::quoted;
use super::super::output::{or_dash, say, say_json, shown, state, table};
use super::super::{CommandError, Ended};
use crate::config::Config;
use crate::model::event::{EventId, EventKey};
use crate::model::ledger::{Attempt, EventFilter, EventRecord, EventSummary};
use crate::model::mask::mask;
use crate::store::Store;

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The event: its id, or {source}/{id}
    event: String,
    /// Show the payload as it is, not masked; it holds personal data
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
    let record = store
        .find_event(&key)
        .await?
        .with_context(|| not_in_the_ledger(&key.to_string()))?;
    if args.json {
        say_json(&RecordJson::new(&record, args.reveal))?;
    } else {
        say(&describe(&record, args.reveal));
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

#[derive(Serialize)]
struct RecordJson<'a> {
    #[serde(flatten)]
    summary: &'a EventSummary,
    attempts_log: &'a [Attempt],
    payload_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_masked: Option<String>,
}

impl<'a> RecordJson<'a> {
    fn new(record: &'a EventRecord, reveal: bool) -> Self {
        let payload = record.payload.as_deref();
        let real = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            summary: &record.summary,
            attempts_log: &record.attempts,
            payload_bytes: payload.map(<[u8]>::len),
            payload: payload.filter(|_| reveal).map(real),
            payload_masked: payload
                .filter(|_| !reveal)
                .map(|bytes| masked(&record.summary, bytes)),
        }
    }
}

fn masked(event: &EventSummary, payload: &[u8]) -> String {
    let own = [Some(event.key.id.as_str()), event.subject.as_deref()];
    let own: Vec<&str> = own.into_iter().flatten().collect();
    mask(payload, &own)
}

/// What stands first, and after that one section below the other.
fn describe(record: &EventRecord, reveal: bool) -> String {
    let sections = [
        Some(facts(&record.summary)),
        attempts(&record.attempts),
        Some(payload(record, reveal)),
    ];
    let sections: Vec<String> = sections.into_iter().flatten().collect();
    sections.join("\n\n")
}

fn facts(event: &EventSummary) -> String {
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

fn payload(record: &EventRecord, reveal: bool) -> String {
    let Some(bytes) = &record.payload else {
        return "payload      not kept: events of this type carry one-time codes, or it was pruned"
            .to_owned();
    };
    let (text, how) = if reveal {
        (String::from_utf8_lossy(bytes).into_owned(), "")
    } else {
        let text = masked(&record.summary, bytes);
        (text, ", masked (--reveal shows what it is)")
    };
    let lines: Vec<String> = text.lines().map(shown).collect();
    let lines = lines.join("\n");
    format!("payload      {} bytes{how}\n{lines}", bytes.len())
}
