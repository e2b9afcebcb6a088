//! `events`: what was received and what became of it.

use clap::Subcommand;

use super::{CommandError, Ended, load_config};

mod list;
mod show;
mod stats;
mod timeline;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum EventsCommand {
    /// List events, newest first
    #[command(after_help = "\
Examples:
  hookmirror events list --state failed
  hookmirror events list --source stripe --type 'checkout.*' --since 2026-11-01
  hookmirror events list --subject user_2g7np7Hrk0SN6kj5EDMLDaKNL0S --json")]
    List(Box<list::ListArgs>),
    /// Show one event in full: every attempt, the error, and its payload, masked
    #[command(after_help = "\
Examples:
  hookmirror events show evt_1SVnL7LmQ8rTzXwYk2PdHc4B
  hookmirror events show stripe/evt_1SVnL7LmQ8rTzXwYk2PdHc4B --json

A masked payload keeps its structure, the names of its fields, and of each value the shape: letters
become x or X, digits 0. Readable stay the event's id and subject, and the words of the fields object,
type, status, payment_status, livemode, created, mode and currency.")]
    Show(show::ShowArgs),
    /// Tell what happened to a user or a payment, in the order of time
    #[command(after_help = "\
Examples:
  hookmirror events timeline user_2g7np7Hrk0SN6kj5EDMLDaKNL0S
  hookmirror events timeline pi_3SVnL6LmQ8rTzXwY0kQ2bN7c --limit 20

Any id of one person's payments tells of all of them: user_, cus_, cs_, sub_, pi_, in_, ch_, re_, dp_.
Events, attempts that failed or were repeated, what Clerk was told, and what somebody did by hand.")]
    Timeline(timeline::TimelineArgs),
    /// Account for all events: accepted = sum of states + still queued
    Stats(stats::StatsArgs),
}

pub(super) async fn events(command: EventsCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        EventsCommand::List(args) => list::list(&config, *args).await,
        EventsCommand::Show(args) => show::show(&config, args).await,
        EventsCommand::Timeline(args) => timeline::timeline(&config, args).await,
        EventsCommand::Stats(args) => stats::stats(&config, args).await,
    }
}
