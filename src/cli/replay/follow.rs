//! Watching a replay until it has ended. It does not mind.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::super::output::say;
use super::super::{CommandError, Ended};
use super::{description, now};
use crate::model::replay::ReplayId;
use crate::ops::replays;
use crate::shutdown::Shutdown;
use crate::store::Store;

/// How often to look.
const STEP: Duration = Duration::from_millis(500);

/// Waits until a replay has ended, then tells what came of it. A signal ends the watching only.
pub(super) async fn follow(store: &dyn Store, id: ReplayId) -> Result<Ended, CommandError> {
    let shutdown = Shutdown::on_signals()?;
    let stop = shutdown.handle();
    tokio::select! {
        ended = until_ended(store, id) => ended?,
        () = stop.begun() => {
            say(&format!(
                "replay {id} goes on without you: see `hookmirror replay status {id} --watch`; \
                 `hookmirror replay cancel {id}` ends it"
            ));
            return Ok(Ended::Done);
        }
    }
    let status = replays::status(store, id, now()).await?;
    say(&description::describe(&status));
    Ok(Ended::Done)
}

/// Waits until a replay has ended, with progress on a terminal.
pub(super) async fn until_ended(store: &dyn Store, id: ReplayId) -> Result<(), CommandError> {
    let bar = bar();
    loop {
        let running = store.running_replays().await?;
        let Some(progress) = running.iter().find(|progress| progress.id == id) else {
            bar.finish_and_clear();
            return Ok(());
        };
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(match progress.done {
            0 => "nothing was processed yet: does a `run` or `work` process run?",
            _ => "",
        });
        tokio::time::sleep(STEP).await;
    }
}

/// Draws nothing where there is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let form = ProgressStyle::with_template("{bar:30} {pos}/{len} {rate} {left} {msg}");
    if let Ok(form) = form {
        let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
            // What cannot be drawn is not missed.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        };
        let left = |state: &ProgressState, text: &mut dyn fmt::Write| {
            if state.pos() > 0 {
                let _ = write!(text, "{} s left", state.eta().as_secs());
            }
        };
        bar.set_style(form.with_key("rate", rate).with_key("left", left));
    }
    bar
}
