//! `events`: what was received and what became of it.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::engines::database::existing_store;
use super::engines::queue::waiting;
use super::output::{complain, counted, listing, or_dash, say, say_json, shown, state, table};
use super::{CommandError, Ended, load_config};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::event::{EventId, EventKey};
use crate::model::ledger::{Attempt, EventFilter, EventRecord, EventSummary};
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::time::{Age, Timestamp};
use crate::ops::account::account;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// List events, newest first
    #[command(after_help = "\
Examples:
  hookmirror events list --state failed
  hookmirror events list --source stripe --type 'checkout.*' --since 2026-11-01
  hookmirror events list --subject user_2g7np7Hrk0SN6kj5EDMLDaKNL0S --json")]
    List(ListArgs),
    /// Show one event in full: every attempt, the error, and (on request) its payload
    Show(ShowArgs),
    /// Account for all events: accepted = sum of states + still queued
    Stats(StatsArgs),
}

/// Which events. Everything given must hold.
#[derive(Debug, Args)]
struct FilterArgs {
    /// In this state (may be given more than once)
    #[arg(long, value_parser = parse_state)]
    state: Vec<EventState>,
    /// From this source
    #[arg(long, value_parser = parse_source)]
    source: Option<SourceName>,
    /// Of a type like this; * stands for any text, ? for any character
    #[arg(long = "type", value_name = "GLOB")]
    event_type: Option<String>,
    /// About this subject, such as user_… or cs_…
    #[arg(long)]
    subject: Option<String>,
    /// Received at this time or later (RFC 3339, or a date)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Received before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
    /// Failing in this way
    #[arg(long)]
    fingerprint: Option<String>,
    /// With this event id (may be given more than once)
    #[arg(long, value_parser = parse_id)]
    id: Vec<EventId>,
    /// With this text in the last error
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

impl From<FilterArgs> for EventFilter {
    fn from(args: FilterArgs) -> Self {
        Self {
            states: args.state,
            source: args.source,
            event_type: args.event_type,
            subject: args.subject,
            since: args.since,
            until: args.until,
            ids: args.id,
            fingerprint: args.fingerprint,
            error: args.error,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The event: its id, or {source}/{id}
    event: String,
    /// Show the payload too; it holds personal data
    #[arg(long)]
    reveal: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn parse_state(word: &str) -> Result<EventState, String> {
    EventState::parse(word).ok_or_else(|| {
        let known: Vec<&str> = EventState::ALL.iter().map(|state| state.as_str()).collect();
        format!("not a state; the states are {}", known.join(", "))
    })
}

fn parse_source(name: &str) -> Result<SourceName, String> {
    SourceName::parse(name)
        .ok_or_else(|| "a source is named by lower-case letters, digits and hyphens".to_owned())
}

fn parse_id(id: &str) -> Result<EventId, String> {
    EventId::parse(id).ok_or_else(|| "not an event id".to_owned())
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| "not a time; write 2026-11-21T08:00:00Z or 2026-11-21".to_owned())
}

pub(super) async fn events(command: EventsCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        EventsCommand::List(args) => list(&config, args).await,
        EventsCommand::Show(args) => show(&config, args).await,
        EventsCommand::Stats(args) => stats(&config, args).await,
    }
}

async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let filter = EventFilter::from(args.filter);
    let events = store.list_events(&filter, args.limit).await?;
    if args.json {
        say_json(&events)?;
        return Ok(Ended::Done);
    }
    if events.is_empty() {
        say("no events match");
        return Ok(Ended::Done);
    }
    let full = events.len() == args.limit as usize;
    let waits = events
        .iter()
        .any(|event| event.state == EventState::Waiting);
    let rows = events.into_iter().map(row).collect();
    say(&listing(
        &["EVENT", "STATE", "TYPE", "OUTCOME", "RECEIVED", "SUBJECT"],
        rows,
    ));
    if waits {
        say(
            "\nwhat is waiting waits for the user of its payment: see `hookmirror payments waiting`",
        );
    }
    if full {
        say(&format!(
            "\nthere may be more than {}: see --limit",
            args.limit
        ));
    }
    Ok(Ended::Done)
}

fn row(event: EventSummary) -> Vec<String> {
    vec![
        event.key.to_string(),
        state(event.state),
        event.event_type.to_string(),
        event.outcome,
        event.received_at.to_string(),
        or_dash(event.subject),
    ]
}

async fn show(config: &Config, args: ShowArgs) -> Result<Ended, CommandError> {
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
}

impl<'a> RecordJson<'a> {
    fn new(record: &'a EventRecord, reveal: bool) -> Self {
        let payload = record.payload.as_deref();
        Self {
            summary: &record.summary,
            attempts_log: &record.attempts,
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

async fn stats(config: &Config, args: StatsArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let account = account(&*store, waiting(config).await?).await?;
    if args.json {
        say_json(&account)?;
        return Ok(Ended::Done);
    }
    let rows: Vec<_> = account
        .states
        .iter()
        .map(|count| {
            vec![
                count.source.to_string(),
                state(count.state),
                count.events.to_string(),
                count.deliveries.to_string(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let header = ["SOURCE", "STATE", "EVENTS", "DELIVERIES"];
        say(&format!("{}\n", table(&header, rows)));
    }
    if !account.ignored.is_empty() {
        let rows = account.ignored.iter().map(|count| {
            vec![
                count.source.to_string(),
                count.outcome.clone(),
                count.events.to_string(),
            ]
        });
        let header = ["SOURCE", "IGNORED AS", "EVENTS"];
        say(&format!("{}\n", table(&header, rows.collect())));
    }
    say(&format!(
        "{} accepted = {} in the ledger + {} still queued",
        account.accepted, account.recorded, account.queue.events
    ));
    if let Some(oldest) = account.waiting.oldest_received_at {
        let age = Age(SystemClock.now().since(oldest));
        let payments = counted(account.waiting.payments, "payment", "payments");
        say(&format!(
            "{payments} without a user, waiting for up to {age}: see `hookmirror payments waiting`"
        ));
    }
    // More than the events still queued: duplicates wait too, and what is applied leaves last.
    if account.queue.messages > 0 {
        let messages = counted(account.queue.messages, "delivery", "deliveries");
        say(&format!(
            "the queue holds {messages}, those of known events included"
        ));
    }
    if let Some(messages) = account.queue.at_broker {
        say(&format!(
            "{messages} of them at RabbitMQ, where each counts as an event; what a worker has in hand \
             is not counted"
        ));
    }
    if let Some(problem) = &account.queue.problem {
        complain(&format!("what RabbitMQ holds is missing here: {problem}"));
        return Ok(Ended::Failed);
    }
    Ok(Ended::Done)
}
