//! `events list`.

use clap::Args;

use super::super::engines::database::existing_store;
use super::super::filter::{FilterArgs, quoted, words};
use super::super::output::{listing, or_dash, say, say_json, shown, state};
use super::super::{CommandError, Ended};
use crate::config::Config;
use crate::model::event::EventKey;
use crate::model::ledger::{EventFilter, EventSummary};
use crate::model::state::EventState;
use crate::ops::find::page;

const LIMIT: u32 = 50;

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Go on after this event, the last line of the page before
    #[arg(long, value_name = "EVENT", value_parser = parse_key)]
    after: Option<EventKey>,
    /// At most this many
    #[arg(long, default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn parse_key(text: &str) -> Result<EventKey, String> {
    EventKey::parse(text).ok_or_else(|| "not an event as it is listed, {source}/{id}".to_owned())
}

pub(super) async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let filter = EventFilter::from(args.filter);
    let page = page(&*store, &filter, args.after, args.limit).await?;
    if args.json {
        say_json(&page.events)?;
        return Ok(Ended::Done);
    }
    if page.events.is_empty() {
        say("no events match");
        return Ok(Ended::Done);
    }
    let waits = page
        .events
        .iter()
        .any(|event| event.state == EventState::Waiting);
    let rows = page.events.into_iter().map(row).collect();
    say(&listing(
        &["EVENT", "STATE", "TYPE", "OUTCOME", "RECEIVED", "SUBJECT"],
        rows,
    ));
    if waits {
        say(
            "\nwhat is waiting waits for the user of its payment: see `hookmirror payments waiting`",
        );
    }
    if let Some(last) = page.next {
        let limit = match args.limit {
            LIMIT => String::new(),
            limit => format!(" --limit {limit}"),
        };
        let options = shown(&words(&filter));
        say(&format!(
            "\nthere are more: hookmirror events list{options}{limit} --after {}",
            quoted(&last.to_string())
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
