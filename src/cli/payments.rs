//! `payments`: those that wait for their user, and giving them one.

use clap::{Args, Subcommand};
use console::style;

use super::acting::ActingArgs;
use super::engines::database::existing_store;
use super::output::{counted, listing, money, or_dash, say, say_json, shown};
use super::{CommandError, Ended, load_config};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::entitlement::Entitlement;
use crate::model::payment::{VerdictChange, WaitingPayment};
use crate::model::time::{Age, Timestamp};
use crate::model::user::UserId;
use crate::ops::payments::{self as ops, Report, Request, because};
use crate::ops::wanted;

#[derive(Debug, Subcommand)]
pub(super) enum PaymentsCommand {
    /// List payments that wait for their user to be known, the longest waiting first
    #[command(after_help = "\
Examples:
  hookmirror payments waiting
  hookmirror payments waiting --limit 500 --json")]
    Waiting(WaitingArgs),
    /// Give a payment to its user; a dry run without --execute
    #[command(after_help = "\
Examples:
  hookmirror payments attribute cs_live_a1b2 user_2g7np7Hrk0SN6kj5EDMLDaKNL0S
  hookmirror payments attribute cs_live_a1b2 user_2g7np7Hrk0SN6kj5EDMLDaKNL0S \\
      --execute --reason 'asked support, OPS-123'

What somebody has decided here holds over what events say, those to come included.
Other payments of the same customer follow where nothing else says whose they are.
A dry run that finds something to do ends with 3.")]
    Attribute(AttributeArgs),
}

#[derive(Debug, Args)]
pub(super) struct WaitingArgs {
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct AttributeArgs {
    /// The Checkout Session, cs_…, or the subscription, sub_…
    #[arg(value_name = "SESSION", value_parser = wanted::payment)]
    payment: String,
    /// Clerk's user id, user_…
    #[arg(value_parser = wanted::clerk_user)]
    user: UserId,
    /// Even if it belongs to somebody else
    #[arg(long)]
    reassign: bool,
    /// Even if no event about this user has arrived
    #[arg(long)]
    unmirrored: bool,
    #[command(flatten)]
    acting: ActingArgs,
}

pub(super) async fn payments(command: PaymentsCommand) -> Result<Ended, CommandError> {
    let config = load_config()?;
    match command {
        PaymentsCommand::Waiting(args) => waiting(&config, args).await,
        PaymentsCommand::Attribute(args) => attribute(&config, args).await,
    }
}

async fn waiting(config: &Config, args: WaitingArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let waiting = store.waiting_payments(args.limit).await?;
    if args.json {
        say_json(&waiting)?;
        return Ok(Ended::Done);
    }
    if waiting.is_empty() {
        say("no payment waits for its user");
        return Ok(Ended::Done);
    }
    let now = SystemClock.now();
    let header = [
        "PAYMENT",
        "WAITS FOR",
        "CUSTOMER",
        "AMOUNT",
        "STATUS",
        "EVENTS",
    ];
    let rows = waiting.iter().map(|payment| row(payment, now)).collect();
    say(&listing(&header, rows));
    if waiting.len() == args.limit as usize {
        say(&format!(
            "\nthere may be more than {}: see --limit",
            args.limit
        ));
    }
    say("\nto give one to its user: `hookmirror payments attribute PAYMENT USER`");
    Ok(Ended::Done)
}

fn row(waiting: &WaitingPayment, now: Timestamp) -> Vec<String> {
    let status = [&waiting.status, &waiting.payment].into_iter().flatten();
    let status: Vec<&str> = status.map(String::as_str).collect();
    vec![
        shown(&waiting.id),
        Age(now.since(waiting.oldest_received_at)).to_string(),
        or_dash(waiting.customer.as_deref().map(shown)),
        or_dash(money(waiting.amount, waiting.currency.as_deref())),
        or_dash((!status.is_empty()).then(|| status.join(", "))),
        waiting.events.to_string(),
    ]
}

async fn attribute(config: &Config, args: AttributeArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let request = Request {
        payment: args.payment,
        user: args.user,
        reassign: args.reassign,
        unmirrored: args.unmirrored,
        operator: args.acting.operator(config),
        mode: args.acting.mode(),
    };
    let report = ops::attribute(&*store, request, SystemClock.now()).await?;
    if args.acting.json {
        say_json(&report)?;
    } else {
        say(&describe(&report));
    }
    Ok(match &report.action {
        Some(action) if action.dry_run => Ended::FoundSomething,
        _ => Ended::Done,
    })
}

fn describe(report: &Report) -> String {
    let before = whose(report);
    let Some(action) = &report.action else {
        return format!("{before}: there is nothing to do");
    };
    let mut text = vec![before, String::new()];
    text.extend(report.moves.iter().map(|moved| {
        let [from, to] =
            [&moved.from, &moved.to].map(|user| user.as_ref().map_or("nobody", UserId::as_str));
        format!("{}  {from} → {to}", shown(&moved.id))
    }));
    text.push(String::new());
    text.extend(report.verdicts.iter().map(|verdict| {
        let VerdictChange {
            user,
            before,
            after,
        } = verdict;
        let after_in_words = in_words(after.as_ref());
        if before == after {
            return format!("{user}\n  stays {after_in_words}");
        }
        format!(
            "{user}\n  {}\n  → {after_in_words}",
            in_words(before.as_ref())
        )
    }));
    let payments = counted(report.moves.len() as u64, "payment", "payments");
    text.push(if action.dry_run {
        format!("\nwould move {payments}; with --execute --reason TEXT it does")
    } else {
        format!(
            "\nmoved {payments}; recorded as action {} of {}",
            action.id,
            shown(action.operator.as_str())
        )
    });
    text.join("\n")
}

/// Whose it was, and why.
fn whose(report: &Report) -> String {
    let payment = style(shown(&report.payment)).bold();
    let customer = report.before.customer.as_deref().map(shown);
    let is_past = report.action.as_ref().is_some_and(|action| !action.dry_run);
    let tense = if is_past { "belonged" } else { "belongs" };
    match (&report.before.owner, report.because, customer) {
        (Some(owner), Some(basis), customer) => format!(
            "{payment} {tense} to {owner}, {}",
            because(basis, customer.as_deref())
        ),
        (_, _, Some(customer)) => format!(
            "{payment} {tense} to nobody: it names no user, nor does anything else of its customer {customer}"
        ),
        _ => format!("{payment} {tense} to nobody: it names no user, and has no customer"),
    }
}

fn in_words(entitlement: Option<&Entitlement>) -> String {
    match entitlement {
        Some(Entitlement {
            paid: true, reason, ..
        }) => format!("paid: {reason}"),
        Some(Entitlement { reason, .. }) => format!("not paid: {reason}"),
        None => "without any payment".to_owned(),
    }
}
