//! `sources`: who pushes events, and whether they are processed.

use clap::{Args, Subcommand};

use super::acting::ActingArgs;
use super::engines::database::existing_store;
use super::output::{counted, or_dash, say, say_json, shown, table};
use super::{CommandError, Ended, load_config};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::pause::SourceChange;
use crate::model::source::{Source, SourceName};
use crate::model::time::{Age, Timestamp};
use crate::ops::sources::{self as ops, KnownSource, Report, Request, SourcesError};
use crate::ops::wanted;

#[derive(Debug, Subcommand)]
pub(super) enum SourcesCommand {
    /// List sources: whether they are paused, and what waits
    #[command(after_help = "\
Examples:
  hookmirror sources list
  hookmirror sources list --json")]
    List(ListArgs),
    /// Put the events of sources aside, without processing them; a dry run without --execute
    #[command(after_help = "\
Example:
  hookmirror sources pause stripe --execute --reason 'bad release, OPS-123'

Events go on being accepted; workers record them as `queued`, with the outcome `paused`, and do
nothing else. No attempt is counted. What is ignored anyway is recorded as ever.
On Postgres, a batch that is being written at this moment may still take effect.
A dry run that finds something to do ends with 3.")]
    Pause(ChangeArgs),
    /// Process the events of sources again, those put aside included; a dry run without --execute
    #[command(after_help = "\
Example:
  hookmirror sources resume stripe --execute --reason 'mended'

What was put aside goes back onto the queue, the oldest first, about 250 events in a second for
each process that schedules, so that new events do not wait behind all of it.
A dry run that finds something to do ends with 3.")]
    Resume(ChangeArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Which sources, by name
    #[arg(required = true, value_parser = wanted::source)]
    source: Vec<SourceName>,
    #[command(flatten)]
    acting: ActingArgs,
}

pub(super) async fn sources(command: SourcesCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        SourcesCommand::List(args) => list(&config, args).await,
        SourcesCommand::Pause(args) => change(&config, SourceChange::Pause, args).await,
        SourcesCommand::Resume(args) => change(&config, SourceChange::Resume, args).await,
    }
}

fn configured(config: &Config) -> Vec<Source> {
    let settings = config.sources.iter();
    settings.map(|settings| settings.source.clone()).collect()
}

async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let sources = ops::list(&*store, &configured(config)).await?;
    if args.json {
        say_json(&sources)?;
        return Ok(Ended::Done);
    }
    let now = SystemClock.now();
    say(&table(
        &[
            "SOURCE",
            "PROVIDER",
            "STATE",
            "LAST EVENT",
            "OLDEST TO PROCESS",
            "PUT ASIDE",
        ],
        sources.iter().map(|known| row(known, now)).collect(),
    ));
    for known in &sources {
        if let Some(pause) = &known.standing.pause {
            say(&format!(
                "\n{} has been paused since {} by {}: {}",
                known.standing.source,
                pause.since,
                shown(pause.operator.as_str()),
                shown(&pause.reason)
            ));
        }
    }
    Ok(Ended::Done)
}

fn row(known: &KnownSource, now: Timestamp) -> Vec<String> {
    let standing = &known.standing;
    let age = |at: Option<Timestamp>| or_dash(at.map(|at| Age(now.since(at))));
    let state = match (&standing.pause, standing.parked) {
        (Some(pause), _) => format!("paused for {}", Age(now.since(pause.since))),
        (None, 0) => "processed".to_owned(),
        (None, _) => "catching up".to_owned(),
    };
    vec![
        standing.source.to_string(),
        known.provider.unwrap_or("not configured").to_owned(),
        state,
        age(standing.last_received_at),
        age(standing.oldest_unapplied_at),
        standing.parked.to_string(),
    ]
}

async fn change(
    config: &Config,
    change: SourceChange,
    args: ChangeArgs,
) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let mut sources = args.source;
    sources.sort_unstable();
    sources.dedup();
    let request = Request {
        change,
        sources,
        operator: args.acting.operator(config),
        mode: args.acting.mode(),
    };
    let configured = configured(config);
    let changing = ops::change(&*store, &configured, request, SystemClock.now());
    let report = match changing.await {
        Ok(report) => report,
        Err(error @ SourcesError::Unknown { .. }) => {
            return Err(CommandError::Usage(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    if args.acting.json {
        say_json(&report)?;
    } else {
        say(&describe(change, &report));
    }
    Ok(if report.action.dry_run && report.action.matched > 0 {
        Ended::FoundSomething
    } else {
        Ended::Done
    })
}

fn describe(change: SourceChange, report: &Report) -> String {
    let action = &report.action;
    let (would, did) = match change {
        SourceChange::Pause => ("pause", "paused"),
        SourceChange::Resume => ("resume", "resumed"),
    };
    let parked: u64 = report
        .sources
        .iter()
        .map(|known| known.standing.parked)
        .sum();
    let waiting = match parked {
        0 => String::new(),
        _ => format!(", with {} put aside", counted(parked, "event", "events")),
    };
    match (action.dry_run, action.matched) {
        (_, 0) => match change {
            SourceChange::Pause => "there is nothing to do: paused already".to_owned(),
            SourceChange::Resume => "there is nothing to do: not paused".to_owned(),
        },
        (true, matched) => {
            let sources = counted(matched, "source", "sources");
            format!("would {would} {sources}{waiting}; with --execute --reason TEXT it does")
        }
        (false, _) => {
            let sources = counted(action.changed, "source", "sources");
            let operator = shown(action.operator.as_str());
            let id = action.id;
            format!("{did} {sources}{waiting}; recorded as action {id} of {operator}")
        }
    }
}
