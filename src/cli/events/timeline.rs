//! `events timeline`.

use clap::Args;
use serde_json::Value;

use super::super::engines::database::existing_store;
use super::super::output::{listing, say, say_json, shown, state};
use super::super::{CommandError, Ended};
use crate::config::Config;
use crate::model::operator::ActionRecord;
use crate::model::timeline::Happening;
use crate::ops::find::timeline as read;
use crate::ops::wanted;

#[derive(Debug, Args)]
pub(in crate::cli) struct TimelineArgs {
    /// A user, or anything of Stripe's
    #[arg(value_parser = wanted::subject)]
    subject: String,
    /// At most this many lines, the newest
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn timeline(config: &Config, args: TimelineArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let timeline = read(&*store, &args.subject, args.limit).await?;
    if args.json {
        say_json(&timeline)?;
        return Ok(Ended::Done);
    }
    if timeline.entries.is_empty() {
        say(&format!("nothing is known of {}", shown(&args.subject)));
        return Ok(Ended::Done);
    }
    if timeline.is_cut {
        say(&format!(
            "only the newest {} lines: see --limit\n",
            args.limit
        ));
    }
    let rows = timeline.entries.iter().map(row).collect();
    say(&listing(
        &["TIME", "WHAT", "STATE", "RESULT", "ABOUT", "DETAIL"],
        rows,
    ));
    Ok(Ended::Done)
}

fn row(happening: &Happening) -> Vec<String> {
    let mut row = vec![happening.at().to_string()];
    row.extend(match happening {
        Happening::Event(event) => [
            format!("received {}", event.event_type),
            state(event.state),
            event.outcome.clone(),
            event.key.to_string(),
            shown(event.subject.as_deref().unwrap_or_default()),
        ],
        Happening::Attempt {
            key,
            event_type,
            attempt,
        } => [
            format!("attempt {} at {event_type}", attempt.attempt),
            state(attempt.state),
            attempt.outcome.clone(),
            key.to_string(),
            shown(attempt.error.as_deref().unwrap_or_default()),
        ],
        Happening::Delivery { user_id, attempt } => [
            "told Clerk".to_owned(),
            attempt.outcome.clone(),
            String::new(),
            user_id.to_string(),
            told(&attempt.desired, attempt.error.as_deref()),
        ],
        Happening::Action(action) => [
            format!(
                "{}: {}",
                shown(action.operator.as_str()),
                shown(&action.action)
            ),
            if action.dry_run { "dry run" } else { "done" }.to_owned(),
            format!("changed {} of {}", action.changed, action.matched),
            format!("action {}", action.id),
            because(action),
        ],
    });
    row
}

fn told(desired: &Value, error: Option<&str>) -> String {
    match error {
        None => shown(&desired.to_string()),
        Some(error) => shown(&format!("{desired}: {error}")),
    }
}

fn because(action: &ActionRecord) -> String {
    match &action.reason {
        None => shown(&action.target.to_string()),
        Some(reason) => shown(&format!("{reason}: {}", action.target)),
    }
}
