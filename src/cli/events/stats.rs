//! `events stats`.

use clap::Args;
use serde::Serialize;

use super::super::engines::database::existing_store;
use super::super::engines::queue::waiting;
use super::super::output::{complain, counted, say, say_json, state, table};
use super::super::{CommandError, Ended};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::pause::SourceStanding;
use crate::model::time::Age;
use crate::ops::account::{Account, account};

#[derive(Debug, Args)]
pub(in crate::cli) struct StatsArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct StatsJson<'a> {
    #[serde(flatten)]
    account: &'a Account,
    /// Sources that are paused, or whose events are still being taken up again.
    paused: &'a [SourceStanding],
}

pub(super) async fn stats(config: &Config, args: StatsArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let account = account(&*store, waiting(config).await?).await?;
    let standings = store.source_standings().await?;
    let is_held_up = |standing: &SourceStanding| standing.pause.is_some() || standing.parked > 0;
    let held_up: Vec<_> = standings.into_iter().filter(is_held_up).collect();
    if args.json {
        say_json(&StatsJson {
            account: &account,
            paused: &held_up,
        })?;
        return Ok(Ended::Done);
    }
    let rows: Vec<_> = account
        .states
        .iter()
        .map(|count| {
            vec![
                count.source.to_string(),
                state(count.state),
                count.events.to_string(),
                count.deliveries.to_string(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let header = ["SOURCE", "STATE", "EVENTS", "DELIVERIES"];
        say(&format!("{}\n", table(&header, rows)));
    }
    if !account.ignored.is_empty() {
        let rows = account.ignored.iter().map(|count| {
            vec![
                count.source.to_string(),
                count.outcome.clone(),
                count.events.to_string(),
            ]
        });
        let header = ["SOURCE", "IGNORED AS", "EVENTS"];
        say(&format!("{}\n", table(&header, rows.collect())));
    }
    say(&format!(
        "{} accepted = {} in the ledger + {} still queued",
        account.accepted, account.recorded, account.queue.events
    ));
    if let Some(oldest) = account.waiting.oldest_received_at {
        let age = Age(SystemClock.now().since(oldest));
        let payments = counted(account.waiting.payments, "payment", "payments");
        say(&format!(
            "{payments} without a user, waiting for up to {age}: see `hookmirror payments waiting`"
        ));
    }
    for standing in &held_up {
        let SourceStanding { source, parked, .. } = standing;
        let events = counted(*parked, "event", "events");
        let how = match standing.pause {
            Some(_) => "is paused, and they wait",
            None => "was resumed, and they are taken up again",
        };
        say(&format!(
            "{events} of {source} put aside: it {how}; see `hookmirror sources list`"
        ));
    }
    // More than the events still queued: duplicates wait too, and what is applied leaves last.
    if account.queue.messages > 0 {
        let messages = counted(account.queue.messages, "delivery", "deliveries");
        say(&format!(
            "the queue holds {messages}, those of known events included"
        ));
    }
    if let Some(messages) = account.queue.at_broker {
        say(&format!(
            "{messages} of them at RabbitMQ, where each counts as an event; what a worker has in hand \
             is not counted"
        ));
    }
    if let Some(problem) = &account.queue.problem {
        complain(&format!("what RabbitMQ holds is missing here: {problem}"));
        return Ok(Ended::Failed);
    }
    Ok(Ended::Done)
}
