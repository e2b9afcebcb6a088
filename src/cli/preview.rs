//! What processing events again would change, for people.

use console::style;
use serde_json::Value;

use super::output::{counted, say, shown, state, table};
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
    say(&table(
        &["EVENT", "TYPE", "NOW", "THEN"],
        preview.events.iter().map(row).collect(),
    ));
    say("");
    for entity in &preview.entities {
        say(&describe(entity));
    }
    if !preview.released.is_empty() {
        let keys: Vec<String> = preview.released.iter().map(ToString::to_string).collect();
        say(&format!("no longer waiting: {}\n", keys.join(", ")));
    }
    if preview.is_without_effect() {
        say("nothing would change");
    } else {
        let entities = counted(preview.entities.len() as u64, "row", "rows");
        say(&format!("{entities} of the mirror would differ"));
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

fn row(event: &EventOutlook) -> Vec<String> {
    let then = if event.before == event.after {
        format!("stays {}", state(event.after.state))
    } else {
        format!("{}, {}", state(event.after.state), event.after.outcome)
    };
    vec![
        event.key.to_string(),
        event.event_type.to_string(),
        format!("{}, {}", state(event.before.state), event.before.outcome),
        match &event.error {
            None => then,
            Some(error) => format!("would fail, {then}: {}", shown(error)),
        },
    ]
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
