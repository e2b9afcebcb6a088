//! `replay [FILTER]`: the plan, or the start.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use serde::Serialize;

use super::super::engines::database::existing_store;
use super::super::output::{counted, listing, say, say_json, shown, state};
use super::super::{CommandError, Ended, preview};
use super::start_command::start_command;
use super::{OrderArgs, follow, now};
use crate::config::Config;
use crate::model::ledger::EventFilter;
use crate::model::replay::plan::{ReplayPlan, ReplayedKind};
use crate::model::replay::{ReplayOrder, ReplayScope};
use crate::model::state::EventState;
use crate::model::time::Age;
use crate::ops::preview::{MOST, Preview, Request};
use crate::ops::replays::{self, Ordered, Planned, Started};

/// How many kinds of events a plan shows.
const KINDS: usize = 20;

/// What is told as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    ordered: &'a Ordered,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<&'a Preview>,
}

pub(super) async fn order(config: &Config, args: OrderArgs) -> Result<Ended, CommandError> {
    let OrderArgs {
        filter,
        all,
        limit,
        rate,
        detach,
        preview: wants_preview,
        reveal,
        acting,
    } = args;
    let filter = EventFilter::from(filter);
    let is_empty = filter == EventFilter::default();
    if is_empty && !all {
        return Err(CommandError::Usage(
            "which events? Name some with --state, --fingerprint, --type, --id and the like, or take \
             --all; see `hookmirror replay --help`"
                .to_owned(),
        ));
    }
    if all && !is_empty {
        return Err(CommandError::Usage(
            "--all takes every event: leave it out, or the other options".to_owned(),
        ));
    }
    let store = existing_store(config).await?;
    let order = ReplayOrder {
        scope: ReplayScope { filter, limit },
        rate,
        operator: acting.operator(config),
    };
    let ordered = replays::order(&*store, &order, &acting.mode(), now()).await?;
    let previewed = if wants_preview {
        let wanted = Request {
            filter: order.scope.filter.clone(),
            limit: limit.unwrap_or(MOST).min(MOST),
            reveal,
            operator: order.operator.clone(),
        };
        Some(preview::of(config, &*store, wanted).await?)
    } else {
        None
    };
    if acting.json {
        say_json(&Answer {
            ordered: &ordered,
            preview: previewed.as_ref(),
        })?;
    }
    match ordered {
        Ordered::Planned(planned) => {
            if !acting.json {
                if let Some(previewed) = &previewed {
                    preview::tell(previewed);
                    say("");
                }
                tell_plan(
                    &planned,
                    &order,
                    &start_command(&order.scope, rate, &acting),
                );
            }
            Ok(match planned.plan.events {
                0 => Ended::Done,
                _ => Ended::FoundSomething,
            })
        }
        Ordered::Started(Started {
            replay: Some(id),
            action,
            seconds,
        }) => {
            if acting.json {
                return Ok(Ended::Done);
            }
            say(&format!(
                "replay {id} has begun: {}, {} at least; recorded as action {} of {}",
                counted(action.matched, "event", "events"),
                Age(Duration::from_secs(seconds)),
                action.id,
                shown(action.operator.as_str())
            ));
            if detach || !stdout().is_terminal() {
                say(&format!(
                    "see `hookmirror replay status {id} --watch`; `hookmirror replay cancel {id}` ends it"
                ));
                return Ok(Ended::Done);
            }
            follow::follow(&*store, id).await
        }
        Ordered::Started(Started { replay: None, .. }) => {
            if !acting.json {
                say("no events match that could be replayed");
            }
            Ok(Ended::Done)
        }
    }
}

fn tell_plan(planned: &Planned, order: &ReplayOrder, command: &str) {
    let plan = &planned.plan;
    if plan.events == 0 {
        say("no events match that could be replayed");
        tell_not_kept(plan);
        return;
    }
    let rows = plan.kinds.iter().take(KINDS).map(row);
    say(&listing(
        &["EVENTS", "STATE", "TYPE", "SOURCE"],
        rows.collect(),
    ));
    let more = plan.kinds.len().saturating_sub(KINDS);
    if more > 0 {
        say(&format!("… and {more} more kinds of events"));
    }
    let subjects = plan.subjects.map_or_else(String::new, |subjects| {
        format!(" about {}", counted(subjects, "subject", "subjects"))
    });
    let events = counted(plan.events, "event", "events");
    say(&format!("\nwould replay {events}{subjects}"));
    if let (Some(oldest), Some(newest)) = (plan.oldest, plan.newest) {
        say(&format!("received from {oldest} to {newest}"));
    }
    say(&format!(
        "at {}/s that takes {} at least",
        order.rate.per_second(),
        Age(Duration::from_secs(planned.seconds))
    ));
    let applied = plan.kinds.iter();
    let applied = applied.filter(|kind| kind.state == EventState::Applied);
    let applied: u64 = applied.map(|kind| kind.events).sum();
    if applied > 0 {
        say(&format!(
            "{} applied already: that changes nothing, unless the mirror is wrong",
            if applied == 1 { "1 is" } else { "some are" }
        ));
    }
    tell_not_kept(plan);
    say(&format!("\nto do it:\n  {command}"));
}

fn tell_not_kept(plan: &ReplayPlan) {
    if plan.not_kept > 0 {
        say(&format!(
            "{} more cannot be replayed: the payload is not kept",
            counted(plan.not_kept, "event", "events")
        ));
    }
}

fn row(kind: &ReplayedKind) -> Vec<String> {
    vec![
        kind.events.to_string(),
        state(kind.state),
        kind.event_type.to_string(),
        kind.source.to_string(),
    ]
}
