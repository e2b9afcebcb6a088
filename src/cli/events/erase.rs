//! `events erase`.

use clap::Args;
use console::style;

use super::super::acting::ActingArgs;
use super::super::engines::database::existing_store;
use super::super::output::{counted, say, say_json, shown, table};
use super::super::{CommandError, Ended};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::retention::{Erasable, Erasure};
use crate::model::user::UserId;
use crate::ops::erasure::{self as ops, Request};
use crate::ops::wanted;

#[derive(Debug, Args)]
pub(in crate::cli) struct EraseArgs {
    /// Whom or what: user_…, cus_…, cs_…, pi_…, as `events list` shows it
    #[arg(value_name = "SUBJECT", required = true, value_parser = wanted::subject)]
    subjects: Vec<String>,
    #[command(flatten)]
    acting: ActingArgs,
}

pub(super) async fn erase(config: &Config, args: EraseArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let request = Request {
        operator: args.acting.operator(config),
        mode: args.acting.mode(),
        subjects: args.subjects.into_iter().collect(),
    };
    let erasure = ops::erase(&*store, request, SystemClock.now()).await?;
    if args.acting.json {
        say_json(&erasure)?;
    } else {
        say(&describe(&erasure));
    }
    Ok(match &erasure.action {
        Some(action) if action.dry_run => Ended::FoundSomething,
        _ => Ended::Done,
    })
}

fn describe(erasure: &Erasure) -> String {
    let mut text: Vec<String> = erasure.subjects.iter().flat_map(subject).collect();
    let Some(action) = &erasure.action else {
        text.push("there is no payload to erase".to_owned());
        return text.join("\n");
    };
    let rows = erasure.types.iter().map(|of| {
        vec![
            of.event_type.to_string(),
            of.events.to_string(),
            of.unfinished.to_string(),
        ]
    });
    let header = ["TYPE", "PAYLOADS", "UNFINISHED"];
    text.push(format!("\n{}\n", table(&header, rows.collect())));
    let unfinished: u64 = erasure.types.iter().map(|of| of.unfinished).sum();
    if unfinished > 0 {
        let events = counted(unfinished, "event is", "events are");
        text.push(format!(
            "{events} not finished, and cannot be replayed or tried again without a payload\n"
        ));
    }
    let payloads = counted(action.matched, "payload", "payloads");
    text.push(if action.dry_run {
        format!(
            "would erase {payloads}: that cannot be undone, and these events can never be replayed; with \
             --execute --reason TEXT it does"
        )
    } else {
        format!(
            "erased {payloads}; recorded as action {} of {}",
            action.id,
            shown(action.operator.as_str())
        )
    });
    text.join("\n")
}

fn subject(of: &Erasable) -> Vec<String> {
    let together = of.filed_under.iter().filter(|name| **name != of.subject);
    let together: Vec<String> = together.map(|name| shown(name)).collect();
    let mut lines = vec![style(shown(&of.subject)).bold().to_string()];
    if !together.is_empty() {
        lines.push(format!("  with {}", together.join(", ")));
    }
    lines.extend(of.shared.iter().map(|shared| {
        let with: Vec<&str> = shared.with.iter().map(UserId::as_str).collect();
        format!(
            "  without {}, which is also of {}",
            shown(&shared.customer),
            with.join(", ")
        )
    }));
    lines
}
