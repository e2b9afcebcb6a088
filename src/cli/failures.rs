//! `failures`: what fails, in groups, and where people stand with each.

use anyhow::Context;
use clap::{Args, Subcommand};
use console::style;

use super::acting::ActingArgs;
use super::engines::database::existing_store;
use super::output::{
    complain, counted, listing, or_dash, say, say_json, shown, state, terminal_width,
};
use super::{CommandError, Ended, load_config};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::failure::{FailureChange, FailureGroup, GroupState};
use crate::ops::failures::{self as ops, Done, FailureReport};

/// Look at failures in groups: what fails in the same way, how often, since when
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  hookmirror failures
  hookmirror failures --all --json
  hookmirror failures show 1f0c4a9be2d7

Events fail in the same way if kind, place and type are the same: they have one fingerprint.
A resolved group is open again as soon as another attempt fails like this."
)]
pub(super) struct FailuresArgs {
    #[command(subcommand)]
    command: Option<FailuresCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum FailuresCommand {
    /// List groups that are not resolved, the most events that fail now first
    #[command(after_help = "\
Examples:
  hookmirror failures list --state open
  hookmirror failures list --all --json")]
    List(ListArgs),
    /// Show one group: its newest events, and what to do next
    #[command(after_help = "\
Example:
  hookmirror failures show 1f0c4a9be2d7")]
    Show(ShowArgs),
    /// Say that somebody is on it; a dry run without --execute
    #[command(after_help = "\
Example:
  hookmirror failures acknowledge 1f0c4a9be2d7 --execute --reason 'looking, OPS-123'

Open groups can be acknowledged. One that is stays so while more events fail like this.
A dry run that finds something to do ends with 3.")]
    Acknowledge(ChangeArgs),
    /// Say that it should not come again; a dry run without --execute
    #[command(after_help = "\
Example:
  hookmirror failures resolve 1f0c4a9be2d7 --execute --reason 'fixed in 1.4.2'

Its events stay as they are: replay or discard them.
If another attempt fails like this, the group is open again.
A dry run that finds something to do ends with 3.")]
    Resolve(ChangeArgs),
    /// Say that somebody should look again; a dry run without --execute
    #[command(after_help = "\
Example:
  hookmirror failures reopen 1f0c4a9be2d7 --execute --reason 'not fixed after all'

A dry run that finds something to do ends with 3.")]
    Reopen(ChangeArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// In this state (may be given more than once); without this, those not resolved
    #[arg(long, value_parser = parse_state)]
    state: Vec<GroupState>,
    /// Resolved ones too
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// What the events have in common
    fingerprint: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ChangeArgs {
    /// What the events have in common
    #[arg(required = true)]
    fingerprint: Vec<String>,
    #[command(flatten)]
    acting: ActingArgs,
}

fn parse_state(word: &str) -> Result<GroupState, String> {
    GroupState::parse(word).ok_or_else(|| {
        let known = GroupState::ALL.map(GroupState::as_str);
        format!("not a state of a group; these are {}", known.join(", "))
    })
}

pub(super) async fn failures(args: FailuresArgs) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match args.command {
        None => list(&config, args.list).await,
        Some(FailuresCommand::List(args)) => list(&config, args).await,
        Some(FailuresCommand::Show(args)) => show(&config, args).await,
        Some(FailuresCommand::Acknowledge(args)) => {
            change(&config, FailureChange::Acknowledge, args).await
        }
        Some(FailuresCommand::Resolve(args)) => change(&config, FailureChange::Resolve, args).await,
        Some(FailuresCommand::Reopen(args)) => change(&config, FailureChange::Reopen, args).await,
    }
}

async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let states = if args.all {
        GroupState::ALL.to_vec()
    } else {
        args.state
    };
    let groups = ops::list(&*store, &states, args.limit).await?;
    if args.json {
        say_json(&groups)?;
        return Ok(Ended::Done);
    }
    if groups.is_empty() {
        say(if states.is_empty() {
            "no failures but resolved ones, if any: see `hookmirror failures --all`"
        } else {
            "no failures match"
        });
        return Ok(Ended::Done);
    }
    say(&rows_of(&groups));
    if terminal_width().is_some() {
        say("");
        for group in &groups {
            say(&format!(
                "{}: {}",
                group.fingerprint,
                shown(&group.last_error)
            ));
        }
    }
    if groups.len() == args.limit as usize {
        say(&format!(
            "\nthere may be more than {}: see --limit",
            args.limit
        ));
    }
    say("\nwhat to do about one: hookmirror failures show FINGERPRINT");
    Ok(Ended::Done)
}

fn rows_of(groups: &[FailureGroup]) -> String {
    let row = |group: &FailureGroup| {
        vec![
            group.fingerprint.clone(),
            coloured(group.state),
            group.failed.to_string(),
            group.retrying.to_string(),
            group.event_type.to_string(),
            group.last_seen.to_string(),
            group.kind.clone(),
            group.first_seen.to_string(),
            group.occurrences.to_string(),
            group.example.to_string(),
            shown(&group.last_error),
        ]
    };
    listing(
        &[
            "FINGERPRINT",
            "STATE",
            "FAILED",
            "RETRYING",
            "TYPE",
            "LAST SEEN",
            "KIND",
            "FIRST SEEN",
            "OCCURRENCES",
            "EXAMPLE",
            "ITS ERROR",
        ],
        groups.iter().map(row).collect(),
    )
}

fn coloured(state: GroupState) -> String {
    let word = style(state.as_str());
    match state {
        GroupState::Open => word.red().bold(),
        GroupState::Acknowledged => word.yellow(),
        GroupState::Resolved => word.green(),
    }
    .to_string()
}

async fn show(config: &Config, args: ShowArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let report = ops::find(&*store, &args.fingerprint).await?;
    let report = report.with_context(|| {
        format!(
            "nothing has failed with the fingerprint {}: see `hookmirror failures --all`",
            shown(&args.fingerprint)
        )
    })?;
    if args.json {
        say_json(&report)?;
    } else {
        say(&describe(&report));
    }
    Ok(Ended::Done)
}

fn describe(report: &FailureReport) -> String {
    let group = &report.group;
    let mut facts = vec![
        ("fingerprint", group.fingerprint.clone()),
        ("state", coloured(group.state)),
        ("kind", group.kind.clone()),
        ("type", group.event_type.to_string()),
        ("failed now", group.failed.to_string()),
        ("retrying now", group.retrying.to_string()),
        ("occurrences", group.occurrences.to_string()),
        ("first seen", group.first_seen.to_string()),
        ("last seen", group.last_seen.to_string()),
        ("example", group.example.to_string()),
        ("its error", shown(&group.last_error)),
    ];
    if let Some(decided) = &group.decided {
        let (by, reason) = (shown(decided.by.as_str()), shown(&decided.reason));
        facts.push(("decided", format!("{} by {by}: {reason}", decided.at)));
    }
    if let Some(at) = group.reopened_at {
        facts.push(("came again", at.to_string()));
    }
    let mut text: Vec<String> = facts
        .into_iter()
        .map(|(name, value)| format!("{name:<13} {value}"))
        .collect();
    if !report.newest.is_empty() {
        let rows = report.newest.iter().map(|event| {
            vec![
                event.key.to_string(),
                state(event.state),
                event.attempts.to_string(),
                event.received_at.to_string(),
                or_dash(event.subject.as_deref().map(shown)),
            ]
        });
        let header = ["EVENT", "STATE", "ATTEMPTS", "RECEIVED", "SUBJECT"];
        text.push(format!("\n{}", listing(&header, rows.collect())));
    }
    let fingerprint = &group.fingerprint;
    text.push(format!(
        "\nnext:\n  hookmirror events show {}",
        group.example
    ));
    let commands = [
        format!("events list --fingerprint {fingerprint}"),
        format!("replay --fingerprint {fingerprint} --preview"),
        format!(
            "failures {} {fingerprint} --execute --reason TEXT",
            match group.state {
                GroupState::Open => "acknowledge",
                GroupState::Acknowledged => "resolve",
                GroupState::Resolved => "reopen",
            }
        ),
    ];
    text.extend(commands.map(|command| format!("  hookmirror {command}")));
    text.join("\n")
}

async fn change(
    config: &Config,
    change: FailureChange,
    args: ChangeArgs,
) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let (operator, mode) = (args.acting.operator(config), args.acting.mode());
    let now = SystemClock.now();
    let done = ops::change(&*store, change, args.fingerprint, operator, mode, now).await?;
    let action = &done.action;
    let ended = if !done.unknown.is_empty() && action.matched == 0 {
        Ended::Failed
    } else if action.dry_run && action.matched > 0 {
        Ended::FoundSomething
    } else {
        Ended::Done
    };
    if args.acting.json {
        say_json(&done)?;
        return Ok(ended);
    }
    if ended != Ended::Failed {
        tell(&done, change);
    }
    for fingerprint in &done.unknown {
        complain(&format!(
            "nothing has failed with the fingerprint {}: see `hookmirror failures --all`",
            shown(fingerprint)
        ));
    }
    Ok(ended)
}

fn tell(done: &Done, change: FailureChange) {
    let (would, did) = match change {
        FailureChange::Acknowledge => ("acknowledge", "acknowledged"),
        FailureChange::Resolve => ("resolve", "resolved"),
        FailureChange::Reopen => ("reopen", "reopened"),
    };
    let action = &done.action;
    if action.matched == 0 {
        say("there is nothing to do");
    } else if action.dry_run {
        say(&rows_of(&done.groups));
        let groups = counted(action.matched, "group", "groups");
        say(&format!(
            "\nwould {would} {groups}; with --execute --reason TEXT it does"
        ));
    } else {
        let groups = counted(action.changed, "group", "groups");
        say(&format!(
            "{did} {groups}; recorded as action {} of {}",
            action.id,
            shown(action.operator.as_str())
        ));
    }
    let unmended: u64 = done.groups.iter().map(|group| group.failed).sum();
    if change == FailureChange::Resolve && action.matched > 0 && unmended > 0 {
        say(&format!(
            "{} of it failed and stay so: replay or discard them as well",
            counted(unmended, "event", "events")
        ));
    }
}
