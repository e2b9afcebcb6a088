//! `replay cancel`.

use super::super::engines::database::existing_store;
use super::super::output::{counted, say, say_json, shown};
use super::super::{CommandError, Ended};
use super::{CancelArgs, now};
use crate::config::Config;
use crate::model::replay::CancelledReplay;
use crate::ops::replays;

pub(super) async fn cancel(config: &Config, args: CancelArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let (operator, mode) = (args.acting.operator(config), args.acting.mode());
    let cancelled = replays::cancel(&*store, args.id, &operator, &mode, now()).await?;
    if args.acting.json {
        say_json(&cancelled)?;
    } else {
        say(&describe(&cancelled));
    }
    let action = &cancelled.action;
    Ok(if action.dry_run && action.matched > 0 {
        Ended::FoundSomething
    } else {
        Ended::Done
    })
}

fn describe(cancelled: &CancelledReplay) -> String {
    let CancelledReplay { replay, action } = cancelled;
    let id = replay.id;
    if action.matched == 0 {
        return format!(
            "there is nothing to cancel: replay {id} is {}, {} of {} were processed",
            replay.state,
            replay.done,
            counted(replay.total, "event", "events")
        );
    }
    if action.dry_run {
        return format!(
            "would cancel what is left of replay {id}, {}; with --execute --reason TEXT it does",
            counted(action.matched, "event", "events")
        );
    }
    format!(
        "replay {id} is cancelled: {} of {} were processed, {} will not be; recorded as action {} of {}",
        replay.done,
        counted(replay.total, "event", "events"),
        replay.cancelled,
        action.id,
        shown(action.operator.as_str())
    )
}
