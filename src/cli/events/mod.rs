//! `events`: what was received and what became of it.

use clap::Subcommand;

use super::{CommandError, Ended, load_config};

mod by_hand;
mod erase;
mod list;
mod preview;
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
become x or X, digits 0. Readable stay the event's id and subject, and the words of the fields
object, type, status, payment_status, livemode, created, mode and currency.")]
    Show(show::ShowArgs),
    /// Tell what happened to a user or a payment, in the order of time
    #[command(after_help = "\
Examples:
  hookmirror events timeline user_2g7np7Hrk0SN6kj5EDMLDaKNL0S
  hookmirror events timeline pi_3SVnL6LmQ8rTzXwY0kQ2bN7c --limit 20

Any id of one person's payments tells of all of them: user_, cus_, cs_, sub_, pi_, in_, ch_, re_
and dp_.
Events, attempts that failed or were repeated, what Clerk was told, and what somebody did by hand.")]
    Timeline(timeline::TimelineArgs),
    /// Erase the payloads of all events about a person, or about anything else; a dry run without --execute
    #[command(after_help = "\
Examples:
  hookmirror events erase user_2g7np7Hrk0SN6kj5EDMLDaKNL0S
  hookmirror events erase user_2g7np7Hrk0SN6kj5EDMLDaKNL0S --execute --reason 'erasure request 12'
  hookmirror events erase cus_NffrFeUfNV2Hib cs_live_a1b2 --execute --reason 'erasure request 13'

Of a user everything that hangs together with them goes: their own events, and those of their
payments and customers. A customer who is another living user's as well is kept, and named. Of any
other subject what is filed under it goes, and nothing else.
The rows stay, with a hash of what went; events about a user who was not deleted are kept again when
they arrive later. What is erased can never be replayed. The row of the user is not touched.
A dry run that finds something to do ends with 3.")]
    Erase(erase::EraseArgs),
    /// Account for all events: accepted = sum of states + still queued
    #[command(after_help = "\
Examples:
  hookmirror events stats
  hookmirror events stats --json")]
    Stats(stats::StatsArgs),
    /// Tell what would change if events were processed again now; changes nothing
    #[command(after_help = "\
Examples:
  hookmirror events preview --state failed --type 'user.*'
  hookmirror events preview --id evt_1 --reveal --json

The events are applied in a transaction that is undone. The first received come first; what would
fail stays what it is if it is applied, ignored or waiting. Personal values are masked: letters as
x, digits as 0. That somebody looked is recorded.
Writers of the same payments wait meanwhile, for a second or two; with SQLite all writers do.
Ends with 3 if something would change.")]
    Preview(preview::PreviewArgs),
    /// Give up on events that failed, wait, are to be tried again or were put aside; a dry run
    /// without --execute
    #[command(after_help = "\
Examples:
  hookmirror events discard --fingerprint 3f2a9c81d0e4
  hookmirror events discard --state failed --until 2026-11-01 \\
      --execute --reason 'test data, OPS-123'

Whoever delivers them again changes nothing any more. What a waiting event has told of a payment
stays recorded; it only waits no longer. To take a discarded event up again, replay it. What a
replay that runs has taken is processed all the same: cancel the replay first.
Works a few thousand at a time; if it is cut short, `actions list` tells how far it came.
A dry run that finds something ends with 3.")]
    Discard(by_hand::DiscardArgs),
    /// Make events due now that are to be tried again later; a dry run without --execute
    #[command(after_help = "\
Examples:
  hookmirror events retry
  hookmirror events retry --source stripe --execute --reason 'secret is set now'

Only what is `retrying` is tried again by itself; to process other events again, replay them.
The schedulers of `run` and `work` take them within seconds. Attempts count on.
A dry run that finds something ends with 3.")]
    Retry(by_hand::RetryArgs),
}

pub(super) async fn events(command: EventsCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        EventsCommand::List(args) => list::list(&config, *args).await,
        EventsCommand::Erase(args) => erase::erase(&config, args).await,
        EventsCommand::Show(args) => show::show(&config, args).await,
        EventsCommand::Timeline(args) => timeline::timeline(&config, args).await,
        EventsCommand::Stats(args) => stats::stats(&config, args).await,
        EventsCommand::Preview(args) => preview::preview(&config, args).await,
        EventsCommand::Discard(args) => by_hand::discard(&config, args).await,
        EventsCommand::Retry(args) => by_hand::retry(&config, args).await,
    }
}
