//! `actions`: what people did by hand, and what they looked at.

use clap::{Args, Subcommand};

use super::engines::database::existing_store;
use super::filter::quoted;
use super::output::{listing, or_dash, say, say_json, shown};
use super::{CommandError, Ended, load_config};
use crate::config::Config;
use crate::model::operator::{ActionFilter, ActionRecord, Operator};
use crate::ops::wanted;

const LIMIT: u32 = 50;

#[derive(Debug, Subcommand)]
pub(super) enum ActionsCommand {
    /// List what people did and looked at, newest first
    #[command(after_help = "\
Examples:
  hookmirror actions list
  hookmirror actions list --operator ann --action 'events discard'
  hookmirror actions list --after 1200 --json")]
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Of this person
    #[arg(long, value_name = "NAME", value_parser = wanted::operator)]
    operator: Option<Operator>,
    /// Of this kind, as the command is called
    #[arg(long, value_name = "COMMAND")]
    action: Option<String>,
    /// Go on after this one: those recorded before it
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// At most this many
    #[arg(long, default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn actions(command: ActionsCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        ActionsCommand::List(args) => list(&config, args).await,
    }
}

async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let filter = ActionFilter {
        before: args.after,
        operator: args.operator,
        action: args.action,
    };
    let actions = store.list_actions(&filter, args.limit).await?;
    if args.json {
        say_json(&actions)?;
        return Ok(Ended::Done);
    }
    if actions.is_empty() {
        say("no actions match");
        return Ok(Ended::Done);
    }
    say(&listing(
        &[
            "ID", "AT", "OPERATOR", "ACTION", "CHANGED", "REASON", "TARGET",
        ],
        actions.iter().map(row).collect(),
    ));
    if let Some(last) = actions
        .last()
        .filter(|_| actions.len() == args.limit as usize)
    {
        let mut options = String::new();
        if let Some(operator) = &filter.operator {
            options.push_str(&format!(" --operator {}", quoted(operator.as_str())));
        }
        if let Some(action) = &filter.action {
            options.push_str(&format!(" --action {}", quoted(action)));
        }
        if args.limit != LIMIT {
            options.push_str(&format!(" --limit {}", args.limit));
        }
        say(&format!(
            "\nthere may be more: hookmirror actions list{} --after {}",
            shown(&options),
            last.id
        ));
    }
    Ok(Ended::Done)
}

fn row(action: &ActionRecord) -> Vec<String> {
    let changed = if action.dry_run {
        format!("dry run of {}", action.matched)
    } else {
        format!("{} of {}", action.changed, action.matched)
    };
    vec![
        action.id.to_string(),
        action.at.to_string(),
        shown(action.operator.as_str()),
        shown(&action.action),
        changed,
        or_dash(action.reason.as_deref().map(shown)),
        shown(&action.target.to_string()),
    ]
}
