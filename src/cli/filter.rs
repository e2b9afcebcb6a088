//! Which events a command is about: the options of all commands that are about several.

use clap::Args;
use serde_json::Value;

use crate::model::event::EventId;
use crate::model::ledger::EventFilter;
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::time::Timestamp;
use crate::ops::wanted;

/// Which events. Everything given must hold.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// In this state (may be given more than once)
    #[arg(long, value_parser = wanted::state)]
    state: Vec<EventState>,
    /// From this source
    #[arg(long, value_parser = wanted::source)]
    source: Option<SourceName>,
    /// Of a type like this; * stands for any text, ? for any character
    #[arg(long = "type", value_name = "GLOB")]
    event_type: Option<String>,
    /// About this subject, such as user_… or cs_…
    #[arg(long, value_parser = wanted::subject)]
    subject: Option<String>,
    /// Received at this time or later (RFC 3339, or a date)
    #[arg(long, value_name = "TIME", value_parser = wanted::time)]
    since: Option<Timestamp>,
    /// Received before this time
    #[arg(long, value_name = "TIME", value_parser = wanted::time)]
    until: Option<Timestamp>,
    /// Failing in this way
    #[arg(long)]
    fingerprint: Option<String>,
    /// With this event id (may be given more than once)
    #[arg(long, value_parser = wanted::event_id)]
    id: Vec<EventId>,
    /// With this text in the last error
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

impl From<FilterArgs> for EventFilter {
    fn from(args: FilterArgs) -> Self {
        Self {
            states: args.state,
            source: args.source,
            event_type: args.event_type,
            subject: args.subject,
            since: args.since,
            until: args.until,
            ids: args.id,
            fingerprint: args.fingerprint,
            error: args.error,
        }
    }
}

/// The options that mean this filter, to be typed: each begins with a space.
pub(super) fn words(filter: &EventFilter) -> String {
    // As JSON a filter has the names of the options.
    let Ok(Value::Object(options)) = serde_json::to_value(filter) else {
        return String::new();
    };
    let mut words = String::new();
    for (option, value) in options {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values.iter().filter_map(Value::as_str) {
            words.push_str(&format!(" --{option} {}", quoted(value)));
        }
    }
    words
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
