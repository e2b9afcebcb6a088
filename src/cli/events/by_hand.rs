//! `events discard` and `events retry`.

use clap::Args;

use super::super::acting::ActingArgs;
use super::super::engines::database::existing_store;
use super::super::filter::FilterArgs;
use super::super::output::{counted, say, say_json, shown, state, table};
use super::super::{CommandError, Ended};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::by_hand::ChangedEvents;
use crate::model::ledger::EventFilter;
use crate::ops::events::{self as ops, DiscardError};

#[derive(Debug, Args)]
pub(in crate::cli) struct DiscardArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// All that did not end by themselves, instead of a filter
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    acting: ActingArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RetryArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    acting: ActingArgs,
}

pub(super) async fn discard(config: &Config, args: DiscardArgs) -> Result<Ended, CommandError> {
    let filter = EventFilter::from(args.filter);
    let store = existing_store(config).await?;
    let (operator, mode) = (args.acting.operator(config), args.acting.mode());
    let now = SystemClock.now();
    let done = match ops::discard(&*store, &filter, args.all, operator, mode, now).await {
        Ok(done) => done,
        Err(error @ DiscardError::Unlimited) => {
            return Err(CommandError::Usage(format!("{error}: --all")));
        }
        Err(error) => return Err(error.into()),
    };
    let verb = ["would give up on", "gave up on"];
    report(&done, verb, "", args.acting.json)
}

pub(super) async fn retry(config: &Config, args: RetryArgs) -> Result<Ended, CommandError> {
    let filter = EventFilter::from(args.filter);
    let store = existing_store(config).await?;
    let (operator, mode) = (args.acting.operator(config), args.acting.mode());
    let done = ops::retry(&*store, &filter, operator, mode, SystemClock.now()).await?;
    let verb = ["would make due now", "made due now:"];
    let instead = "; to process these again, replay them";
    report(&done, verb, instead, args.acting.json)
}

/// `instead` is what else to do about events that this cannot be done to.
fn report(
    done: &ChangedEvents,
    [would, did]: [&str; 2],
    instead: &str,
    json: bool,
) -> Result<Ended, CommandError> {
    let action = &done.action;
    let ended = if action.dry_run && action.matched > 0 {
        Ended::FoundSomething
    } else {
        Ended::Done
    };
    if json {
        say_json(done)?;
        return Ok(ended);
    }
    if action.matched == 0 {
        say(if done.passed_over.is_empty() {
            "there is nothing to do: no events match"
        } else {
            "there is nothing to do"
        });
    } else if action.dry_run {
        let rows = done.tally.iter().map(|tally| {
            vec![
                state(tally.state),
                tally.event_type.to_string(),
                tally.events.to_string(),
            ]
        });
        say(&table(&["STATE", "TYPE", "EVENTS"], rows.collect()));
        if let Some(example) = done.examples.first() {
            let error = example.last_error.as_deref().unwrap_or(&example.outcome);
            say(&format!("\nsuch as {}: {}", example.key, shown(error)));
        }
        let events = counted(action.matched, "event", "events");
        say(&format!(
            "\n{would} {events}; with --execute --reason TEXT it does"
        ));
    } else {
        let events = counted(action.changed, "event", "events");
        say(&format!(
            "{did} {events}; recorded as action {} of {}",
            action.id,
            shown(action.operator.as_str())
        ));
    }
    if !done.passed_over.is_empty() {
        let states = done.passed_over.iter();
        let states: Vec<String> = states
            .map(|tally| format!("{} {}", tally.events, tally.state))
            .collect();
        say(&format!(
            "not these, which match as well: {}{instead}",
            states.join(", ")
        ));
    }
    Ok(ended)
}
