//! `replay status`.

use serde::Serialize;

use super::super::engines::database::existing_store;
use super::super::output::{listing, or_dash, say, say_json, shown, state};
use super::super::{CommandError, Ended};
use super::{StatusArgs, description, follow, now};
use crate::config::Config;
use crate::model::replay::ReplayedEvent;
use crate::ops::replays::{self, Status};
use crate::shutdown::Shutdown;

pub(super) async fn status(config: &Config, args: StatusArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    // Before any waiting: that there is such a replay.
    replays::status(&*store, args.id, now()).await?;
    if args.watch {
        let shutdown = Shutdown::on_signals()?;
        let stop = shutdown.handle();
        tokio::select! {
            ended = follow::until_ended(&*store, args.id) => ended?,
            () = stop.begun() => {}
        }
    }
    let status = replays::status(&*store, args.id, now()).await?;
    let events = if args.events {
        Some(replays::events(&*store, args.id, args.after, args.limit).await?)
    } else {
        None
    };
    if args.json {
        say_json(&StatusJson {
            status: &status,
            events: events.as_deref(),
        })?;
        return Ok(Ended::Done);
    }
    say(&description::describe(&status));
    if let Some(events) = events {
        say(&format!("\n{}", list(&events)));
        if let Some(last) = events.last()
            && events.len() == args.limit as usize
        {
            say(&format!(
                "\nthere may be more: hookmirror replay status {} --events --after {}",
                args.id, last.position
            ));
        }
    }
    Ok(Ended::Done)
}

#[derive(Serialize)]
struct StatusJson<'a> {
    #[serde(flatten)]
    status: &'a Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a [ReplayedEvent]>,
}

fn list(events: &[ReplayedEvent]) -> String {
    let rows = events.iter().map(|event| {
        let error = event.error.as_deref().map(shown);
        vec![
            event.position.to_string(),
            event.key.to_string(),
            event.step.to_string(),
            or_dash(event.outcome.as_ref()),
            or_dash(event.state.map(state)),
            or_dash(event.settled_at),
            or_dash(error),
        ]
    });
    listing(
        &[
            "POSITION",
            "EVENT",
            "STEP",
            "OUTCOME",
            "STATE THEN",
            "PROCESSED",
            "ERROR",
        ],
        rows.collect(),
    )
}
