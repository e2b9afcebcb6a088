//! `replay`: has events processed again.

use clap::{Args, Subcommand};

use super::acting::ActingArgs;
use super::engines::database::existing_store;
use super::filter::FilterArgs;
use super::output::{listing, say, say_json, shown};
use super::{CommandError, Ended, load_config};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::replay::{Replay, ReplayId, ReplayRate};
use crate::ops::replays;

mod cancel;
mod description;
mod follow;
mod order;
mod start_command;
mod status;

/// Have events processed again, whatever became of them; a dry run without --execute
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  hookmirror replay --state failed
  hookmirror replay --fingerprint 5f0c0a2be1d4 --preview
  hookmirror replay --fingerprint 5f0c0a2be1d4 --execute --reason 'fixed in 1.4.2, OPS-123'
  hookmirror replay --type 'checkout.*' --since 2026-11-01 --limit 100 --rate 10
  hookmirror replay --id evt_1SVnL7LmQ8rTzXwYk2PdHc4B --execute --reason 'asked support'

The events are those that match now and whose payload is kept. They go through the queue like
others, at a rate of their own, in the workers: this command need not stay. Events about the same
subject go one after the other. What was applied is not undone by a replay that fails, and replaying
it changes nothing unless the mirror was wrong.
A dry run that finds something ends with 3, and with the command that does it.")]
pub(super) struct ReplayArgs {
    #[command(subcommand)]
    command: Option<ReplayCommand>,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
struct OrderArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// All events that the ledger has
    #[arg(long)]
    all: bool,
    /// The first so many only, in the order in which they were received
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Events in a second, 1 to 1000
    #[arg(long, value_name = "R", default_value = "50", value_parser = parse_rate)]
    rate: ReplayRate,
    /// Do not watch it, on a terminal either
    #[arg(long)]
    detach: bool,
    /// Tell what would change, too: applies the first 1000 of the events in a transaction that is undone
    #[arg(long, conflicts_with = "execute")]
    preview: bool,
    /// Show names, addresses and metadata in the preview as they are
    #[arg(long, requires = "preview")]
    reveal: bool,
    #[command(flatten)]
    acting: ActingArgs,
}

#[derive(Debug, Subcommand)]
enum ReplayCommand {
    /// List replays, newest first
    #[command(after_help = "\
Examples:
  hookmirror replay list
  hookmirror replay list --limit 5 --json")]
    List(ListArgs),
    /// Show how far a replay is, and what came of it
    #[command(after_help = "\
Examples:
  hookmirror replay status 7
  hookmirror replay status 7 --watch
  hookmirror replay status 7 --events --after 1000 --limit 1000 --json")]
    Status(StatusArgs),
    /// End a replay: what was not processed will not be; a dry run without --execute
    #[command(after_help = "\
Example:
  hookmirror replay cancel 7 --execute --reason 'not fixed after all'

An event is either processed then, with all its effect, or cancelled: `replay status` tells which.
A dry run that finds something ends with 3.")]
    Cancel(CancelArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// The number of the replay
    #[arg(value_parser = parse_id)]
    id: ReplayId,
    /// Wait until it has ended, with progress on a terminal
    #[arg(long)]
    watch: bool,
    /// List its events too, in their order
    #[arg(long)]
    events: bool,
    /// Only events behind this position
    #[arg(
        long,
        value_name = "POSITION",
        default_value_t = 0,
        requires = "events"
    )]
    after: u64,
    /// At most this many events
    #[arg(
        long,
        default_value_t = 50,
        requires = "events",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct CancelArgs {
    /// The number of the replay
    #[arg(value_parser = parse_id)]
    id: ReplayId,
    #[command(flatten)]
    acting: ActingArgs,
}

fn parse_rate(text: &str) -> Result<ReplayRate, String> {
    let rate = text.parse().ok().and_then(ReplayRate::new);
    rate.ok_or_else(|| format!("not a number from 1 to {}", ReplayRate::MOST))
}

fn parse_id(text: &str) -> Result<ReplayId, String> {
    ReplayId::parse(text).ok_or_else(|| "not the number of a replay".to_owned())
}

pub(super) async fn replay(args: ReplayArgs) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match args.command {
        None => order::order(&config, args.order).await,
        Some(ReplayCommand::List(args)) => list(&config, args).await,
        Some(ReplayCommand::Status(args)) => status::status(&config, args).await,
        Some(ReplayCommand::Cancel(args)) => cancel::cancel(&config, args).await,
    }
}

async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let replays = replays::list(&*store, args.limit).await?;
    if args.json {
        say_json(&replays)?;
        return Ok(Ended::Done);
    }
    if replays.is_empty() {
        say("there are no replays");
        return Ok(Ended::Done);
    }
    let header = ["REPLAY", "STATE", "PROCESSED", "STARTED", "BY", "REASON"];
    say(&listing(&header, replays.iter().map(row).collect()));
    if replays.len() == args.limit as usize {
        say(&format!(
            "\nthere may be more than {}: see --limit",
            args.limit
        ));
    }
    Ok(Ended::Done)
}

fn row(replay: &Replay) -> Vec<String> {
    vec![
        replay.id.to_string(),
        description::coloured(replay.state),
        format!("{}/{}", replay.done, replay.total),
        replay.created_at.to_string(),
        shown(&replay.operator),
        shown(&replay.reason),
    ]
}

fn now() -> crate::model::time::Timestamp {
    SystemClock.now()
}
