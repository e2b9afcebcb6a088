//! `outbox`: the metadata that Clerk should hold and does not hold yet.

use anyhow::Context;
use clap::{Args, Subcommand};
use console::style;
use serde::Serialize;

use super::acting::ActingArgs;
use super::engines::database::existing_store;
use super::output::{complain, counted, listing, or_dash, say, say_json, shown, table};
use super::{CommandError, Ended, load_config};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::outbox::{DeliveryState, OutboxEntry, OutboxFilter, OutboxRecord};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::ops::outbox::{Done, Retried, RetriedState, Summary, discard, retry, summary};
use crate::ops::wanted;

/// How many attempts are shown.
const ATTEMPTS: u32 = 50;

#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// List what is not delivered, the longest waiting first
    #[command(after_help = "\
Examples:
  hookmirror outbox list
  hookmirror outbox list --state parked
  hookmirror outbox list --state delivered --limit 10 --json")]
    List(ListArgs),
    /// Show what one user should have at Clerk, what was delivered, and every attempt
    #[command(after_help = "\
Example:
  hookmirror outbox show user_2g7np7Hrk0SN6kj5EDMLDaKNL0S")]
    Show(ShowArgs),
    /// Make entries due now; a dry run without --execute
    #[command(after_help = "\
Examples:
  hookmirror outbox retry --state parked
  hookmirror outbox retry --state parked --execute --reason 'metadata limit raised, OPS-123'
  hookmirror outbox retry user_2g7np7Hrk0SN6kj5EDMLDaKNL0S --execute --reason 'edited by hand'

A dispatcher sends what is due within a second, as fast as its budget allows.
A dry run that finds something ends with 3.")]
    Retry(RetryArgs),
    /// Give up on what waits or is parked for these users; a dry run without --execute
    #[command(after_help = "\
Example:
  hookmirror outbox discard user_2g7np7Hrk0SN6kj5EDMLDaKNL0S --execute --reason 'test account'

A later change of what the user should have is delivered all the same.
A dry run that finds something ends with 3.")]
    Discard(DiscardArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// In this state (may be given more than once); without it, all that is not delivered
    #[arg(long, value_parser = wanted::delivery_state)]
    state: Vec<DeliveryState>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Clerk's user id, user_…
    #[arg(value_parser = wanted::user)]
    user: UserId,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    what: RetriedArgs,
    #[command(flatten)]
    acting: ActingArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct RetriedArgs {
    /// Of these users, in whatever state: what was delivered is sent again
    #[arg(value_parser = wanted::user)]
    user: Vec<UserId>,
    /// All in this state: pending, parked, user_gone or discarded
    #[arg(long, value_parser = wanted::retried_state)]
    state: Option<RetriedState>,
    /// All that wait or are parked
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct DiscardArgs {
    /// Of these users
    #[arg(required = true, value_parser = wanted::user)]
    user: Vec<UserId>,
    #[command(flatten)]
    acting: ActingArgs,
}

pub(super) async fn outbox(command: OutboxCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        OutboxCommand::List(args) => list(&config, args).await,
        OutboxCommand::Show(args) => show(&config, args).await,
        OutboxCommand::Retry(args) => {
            let RetriedArgs { user, state, .. } = args.what;
            let user = distinct(user);
            let what = match state {
                Some(state) => Retried::State(state),
                None if user.is_empty() => Retried::All,
                None => Retried::Users(user),
            };
            let named = named(&what);
            let store = existing_store(&config).await?;
            let (operator, mode) = (args.acting.operator(&config), args.acting.mode());
            let done = retry(&*store, what, operator, mode, SystemClock.now()).await?;
            report(
                &done,
                [("make", " due now"), ("made", " due now")],
                named,
                args.acting.json,
            )
        }
        OutboxCommand::Discard(args) => {
            let store = existing_store(&config).await?;
            let (operator, mode) = (args.acting.operator(&config), args.acting.mode());
            let users = distinct(args.user);
            let named = Some(users.len());
            let done = discard(&*store, users, operator, mode, SystemClock.now()).await?;
            let verb = [("give up on", ""), ("gave up on", "")];
            report(&done, verb, named, args.acting.json)
        }
    }
}

fn distinct(mut users: Vec<UserId>) -> Vec<UserId> {
    users.sort_unstable();
    users.dedup();
    users
}

fn named(what: &Retried) -> Option<usize> {
    match what {
        Retried::Users(users) => Some(users.len()),
        Retried::State(_) | Retried::All => None,
    }
}

#[derive(Serialize)]
struct ListJson<'a> {
    entries: &'a [OutboxEntry],
    #[serde(flatten)]
    summary: &'a Summary,
}

async fn list(config: &Config, args: ListArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let states = if args.state.is_empty() {
        let all = DeliveryState::ALL.into_iter();
        all.filter(|state| *state != DeliveryState::Delivered)
            .collect()
    } else {
        args.state
    };
    let filter = OutboxFilter {
        states,
        ..OutboxFilter::default()
    };
    let entries = store.list_outbox(&filter, args.limit).await?;
    let summary = summary(&*store).await?;
    if args.json {
        say_json(&ListJson {
            entries: &entries,
            summary: &summary,
        })?;
        return Ok(Ended::Done);
    }
    if entries.is_empty() {
        say("no entries match");
    } else {
        say(&rows_of(&entries));
    }
    if entries.len() == args.limit as usize {
        say(&format!(
            "\nthere may be more than {}: see --limit",
            args.limit
        ));
    }
    say(&format!("\n{}", in_one_line(&summary, SystemClock.now())));
    Ok(Ended::Done)
}

fn rows_of(entries: &[OutboxEntry]) -> String {
    let row = |entry: &OutboxEntry| {
        vec![
            entry.user_id.to_string(),
            coloured(entry.state),
            entry.desired_at.to_string(),
            entry.failures.to_string(),
            or_dash(entry.next_attempt_at),
            or_dash(entry.last_error.as_deref().map(shown)),
        ]
    };
    listing(
        &[
            "USER",
            "STATE",
            "SINCE",
            "FAILURES",
            "NEXT ATTEMPT",
            "LAST ERROR",
        ],
        entries.iter().map(row).collect(),
    )
}

fn coloured(state: DeliveryState) -> String {
    let word = style(state.as_str());
    match state {
        DeliveryState::Delivered => word.green(),
        DeliveryState::Parked => word.red().bold(),
        DeliveryState::Pending => word.yellow(),
        DeliveryState::UserGone | DeliveryState::Discarded => word.dim(),
    }
    .to_string()
}

fn in_one_line(summary: &Summary, now: Timestamp) -> String {
    let counts: Vec<String> = summary
        .states
        .iter()
        .map(|count| format!("{} {}", count.entries, count.state))
        .collect();
    let counts = if counts.is_empty() {
        "the outbox is empty".to_owned()
    } else {
        counts.join(", ")
    };
    match summary.oldest_undelivered {
        Some(oldest) => {
            let age = now.since(oldest).as_secs();
            format!("{counts}; the oldest undelivered has waited for {age} s")
        }
        None => format!("{counts}; nothing waits"),
    }
}

async fn show(config: &Config, args: ShowArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let user = &args.user;
    let record = store.find_outbox(user, ATTEMPTS).await?;
    let record = record.with_context(|| {
        format!("there is no metadata for {user}: no payment of such a user is known")
    })?;
    if args.json {
        say_json(&record)?;
    } else {
        say(&describe(&record));
    }
    Ok(Ended::Done)
}

fn describe(record: &OutboxRecord) -> String {
    let entry = &record.entry;
    let delivered = match &entry.delivered {
        Some(delivered) => delivered.to_string(),
        None => "not known".to_owned(),
    };
    let lease = match record.leased_until {
        Some(until) => format!("number {}, until {until}", record.leases),
        None => format!("none now, {} so far", record.leases),
    };
    let facts = [
        ("user", entry.user_id.to_string()),
        ("state", coloured(entry.state)),
        ("desired", entry.desired.to_string()),
        ("since", entry.desired_at.to_string()),
        ("delivered", delivered),
        ("failures", entry.failures.to_string()),
        ("next attempt", or_dash(entry.next_attempt_at)),
        (
            "last error",
            or_dash(entry.last_error.as_deref().map(shown)),
        ),
        ("lease", lease),
    ];
    let mut text: Vec<String> = facts
        .into_iter()
        .map(|(name, value)| format!("{name:<12} {value}"))
        .collect();
    if !record.attempts.is_empty() {
        let attempts = record.attempts.iter().map(|attempt| {
            vec![
                attempt.at.to_string(),
                attempt.outcome.clone(),
                attempt.desired.to_string(),
                or_dash(attempt.error.as_deref().map(shown)),
            ]
        });
        text.push(String::new());
        text.push(table(
            &["ATTEMPT", "OUTCOME", "SENT", "ERROR"],
            attempts.collect(),
        ));
    }
    if record.attempts.len() == ATTEMPTS as usize {
        text.push(format!("\nonly the last {ATTEMPTS} attempts are shown"));
    }
    text.join("\n")
}

/// What stands before the number of entries, and after it.
type Verb = (&'static str, &'static str);

/// `named` is how many users the operator named; the verb is what would be done, and what was.
fn report(
    done: &Done,
    verb: [Verb; 2],
    named: Option<usize>,
    json: bool,
) -> Result<Ended, CommandError> {
    let action = &done.action;
    let missing = named.map(|named| (named as u64).saturating_sub(action.matched));
    let ended = match missing {
        Some(missing) if missing > 0 && action.matched == 0 => Ended::Failed,
        _ if action.dry_run && action.matched > 0 => Ended::FoundSomething,
        _ => Ended::Done,
    };
    if json {
        say_json(done)?;
        return Ok(ended);
    }
    if ended != Ended::Failed {
        tell(done, verb);
    }
    if let Some(missing) = missing.filter(|missing| *missing > 0) {
        let users = counted(missing, "user", "users");
        complain(&format!(
            "{users} of those named: no entry that this could be done to; see `hookmirror outbox show \
             USER`"
        ));
    }
    Ok(ended)
}

fn tell(done: &Done, [would, did]: [Verb; 2]) {
    let action = &done.action;
    if action.matched == 0 {
        say("there is nothing to do");
    } else if action.dry_run {
        say(&rows_of(&done.examples));
        let more = action.matched.saturating_sub(done.examples.len() as u64);
        if more > 0 {
            say(&format!("… and {more} more"));
        }
        let entries = counted(action.matched, "entry", "entries");
        say(&format!(
            "\nwould {} {entries}{}; with --execute --reason TEXT it does",
            would.0, would.1
        ));
    } else {
        let entries = counted(action.changed, "entry", "entries");
        say(&format!(
            "{} {entries}{}; recorded as action {} of {}",
            did.0,
            did.1,
            action.id,
            shown(action.operator.as_str())
        ));
    }
}
