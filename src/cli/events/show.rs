//! `events show`.

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::super::engines::database::existing_store;
use super::super::output::{or_dash, say, say_json, shown, state, table};
use super::super::{CommandError, Ended};
use crate::config::Config;
use crate::model::event::{EventId, EventKey};
use crate::model::headers::KeptHeaders;
use crate::model::ledger::{Attempt, EventFilter, EventRecord, EventSummary};
use crate::store::Store;

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The event: its id, or {source}/{id}
    event: String,
    /// Show the payload too; it holds personal data
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
    headers: &'a KeptHeaders,
    payload_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

impl<'a> RecordJson<'a> {
    fn new(record: &'a EventRecord, reveal: bool) -> Self {
        let payload = record.payload.as_deref();
        Self {
            summary: &record.summary,
            attempts_log: &record.attempts,
            headers: &record.headers,
            payload_bytes: payload.map(<[u8]>::len),
            payload: payload
                .filter(|_| reveal)
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

fn describe(record: &EventRecord, reveal: bool) -> String {
    let event = &record.summary;
    let mut facts = vec![
        ("event", event.key.to_string()),
        ("type", event.event_type.to_string()),
        ("subject", or_dash(event.subject.as_ref())),
        ("state", state(event.state)),
        ("outcome", event.outcome.clone()),
        ("received", event.received_at.to_string()),
        ("applied", or_dash(event.applied_at)),
        ("deliveries", event.deliveries.to_string()),
        ("attempts", event.attempts.to_string()),
    ];
    if let Some(error) = &event.last_error {
        facts.push(("error", error.clone()));
        facts.push(("fingerprint", or_dash(event.fingerprint.as_ref())));
    }
    let headers = record.headers.values();
    let headers = headers
        .iter()
        .map(|(name, value)| ("header", format!("{name}: {}", shown(value))));
    facts.extend(headers);
    let payload = match &record.payload {
        None => "not kept: events of this type carry one-time codes".to_owned(),
        Some(bytes) if reveal => {
            let text = String::from_utf8_lossy(bytes);
            let lines: Vec<String> = text.lines().map(shown).collect();
            format!("\n{}", lines.join("\n"))
        }
        Some(bytes) => format!("{} bytes (--reveal shows them)", bytes.len()),
    };
    facts.push(("payload", payload));
    let mut text: Vec<String> = facts
        .into_iter()
        .map(|(name, value)| format!("{name:<12} {value}"))
        .collect();
    if !record.attempts.is_empty() {
        let rows = record
            .attempts
            .iter()
            .map(|attempt| {
                vec![
                    attempt.attempt.to_string(),
                    attempt.at.to_string(),
                    attempt.trigger.clone(),
                    state(attempt.state),
                    attempt
                        .error
                        .clone()
                        .unwrap_or_else(|| attempt.outcome.clone()),
                ]
            })
            .collect();
        text.push(String::new());
        text.push(table(
            &["ATTEMPT", "AT", "TRIGGER", "STATE", "RESULT"],
            rows,
        ));
    }
    text.join("\n")
}
