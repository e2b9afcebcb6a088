//! `events`: what was received and what became of it.

use clap::Subcommand;

use super::{CommandError, Ended, load_config};

mod list;
mod show;
mod stats;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum EventsCommand {
    /// List events, newest first
    #[command(after_help = "\
Examples:
  hookmirror events list --state failed
  hookmirror events list --source stripe --type 'checkout.*' --since 2026-11-01
  hookmirror events list --subject user_2g7np7Hrk0SN6kj5EDMLDaKNL0S --json")]
    List(list::ListArgs),
    /// Show one event in full: every attempt, the error, and (on request) its payload
    Show(show::ShowArgs),
    /// Account for all events: accepted = sum of states + still queued
    Stats(stats::StatsArgs),
}

pub(super) async fn events(command: EventsCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        EventsCommand::List(args) => list::list(&config, args).await,
        EventsCommand::Show(args) => show::show(&config, args).await,
        EventsCommand::Stats(args) => stats::stats(&config, args).await,
    }
}
