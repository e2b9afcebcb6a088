//! What processing events again would change, for people.

use console::style;
use serde_json::Value;

use super::output::{counted, say, shown, state};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::event::Event;
use crate::model::preview::{EntityChange, EntityPreview};
use crate::model::source::Sources;
use crate::ops::preview::{self as ops, EventOutlook, Preview, Request};
use crate::store::{Store, StoreError};
use crate::worker;

/// Characters of one value that are shown.
const WIDTH: usize = 60;

/// Has the events applied as the handlers of this program would have it, and undone.
pub(super) async fn of(
    config: &Config,
    store: &dyn Store,
    wanted: Request,
) -> Result<Preview, StoreError> {
    let configured = config.sources.iter();
    let sources: Sources = configured.map(|settings| settings.source.clone()).collect();
    let decide = |event: Event| worker::decide(&sources, event);
    ops::preview(store, &decide, wanted, SystemClock.now()).await
}

/// Prints a preview.
pub(super) fn tell(preview: &Preview) {
    let previewed = preview.events.len() as u64;
    if previewed == 0 {
        say(match preview.without_payload {
            0 => "no events match",
            _ => "of the events that match no payload is kept: none can be processed again",
        });
        return;
    }
    for (outlook, events) in alike(&preview.events) {
        say(&describe_outlook(outlook, events));
    }
    for entity in &preview.entities {
        say(&describe(entity));
    }
    if !preview.released.is_empty() {
        let keys: Vec<String> = preview.released.iter().map(ToString::to_string).collect();
        say(&format!("no longer waiting: {}\n", keys.join(", ")));
    }
    say(&match preview.entities.len() as u64 {
        0 if preview.is_without_effect() => "nothing would change".to_owned(),
        0 => "no row of the mirror would differ".to_owned(),
        rows => format!(
            "{} of the mirror would differ",
            counted(rows, "row", "rows")
        ),
    });
    let failing = preview.events.iter().filter(|event| event.error.is_some());
    match failing.count() as u64 {
        0 => {}
        failing if failing == previewed => say("all of them would fail: the cause is still there"),
        failing => say(&format!(
            "{} would fail",
            counted(failing, "event", "events")
        )),
    }
    say(&format!(
        "previewed {previewed} of {}; nothing was changed",
        counted(preview.matched, "event", "events")
    ));
    if preview.without_payload > 0 {
        say(&format!(
            "{} more cannot be processed again: no payload is kept",
            preview.without_payload
        ));
    }
}

/// The first of all events that come out alike, and how many these are: hundreds fail in one way.
fn alike(events: &[EventOutlook]) -> Vec<(&EventOutlook, u64)> {
    let mut kinds: Vec<(&EventOutlook, u64)> = Vec::new();
    for event in events {
        let known = kinds.iter_mut().find(|(first, _)| {
            first.event_type == event.event_type
                && first.before == event.before
                && first.after == event.after
                && first.error == event.error
        });
        match known {
            Some((_, events)) => *events += 1,
            None => kinds.push((event, 1)),
        }
    }
    kinds
}

fn describe_outlook(event: &EventOutlook, events: u64) -> String {
    let title = match events {
        1 => format!("{} {}", event.event_type, event.key),
        _ => format!("{events} × {}, such as {}", event.event_type, event.key),
    };
    let then = if event.before == event.after {
        format!("stays {}", state(event.after.state))
    } else {
        format!("{}, {}", state(event.after.state), event.after.outcome)
    };
    let then = match &event.error {
        None => then,
        Some(error) => format!("would fail, {then}: {}", shown(error)),
    };
    format!(
        "{}\n  now   {}, {}\n  then  {then}\n",
        style(title).bold(),
        state(event.before.state),
        event.before.outcome
    )
}

fn describe(entity: &EntityPreview) -> String {
    let verb = match entity.change {
        EntityChange::Created => style("would be created").green(),
        EntityChange::Changed => style("would change").yellow(),
        EntityChange::Removed => style("would be removed").red(),
    };
    let name = style(format!("{} {}", entity.entity, shown(&entity.id))).bold();
    let mut text = format!("{name} {verb}\n");
    for column in &entity.columns {
        let (before, after) = (brief(&column.before), brief(&column.after));
        let line = match entity.change {
            EntityChange::Created => format!("  {:<20} {after}\n", column.column),
            EntityChange::Removed => format!("  {:<20} {before}\n", column.column),
            EntityChange::Changed => format!("  {:<20} {before} → {after}\n", column.column),
        };
        text.push_str(&line);
    }
    text
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null => return "–".to_owned(),
        Value::String(text) => shown(text),
        value => shown(&value.to_string()),
    };
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
