//! `events list`.

use clap::Args;

use super::super::engines::database::existing_store;
use super::super::filter::FilterArgs;
use super::super::output::{listing, or_dash, say, say_json, state};
use super::super::{CommandError, Ended};
use crate::config::Config;
use crate::model::ledger::{EventFilter, EventSummary};
use crate::model::state::EventState;

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
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
