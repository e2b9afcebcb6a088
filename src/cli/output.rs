//! What people and scripts read: tables, JSON, and complaints.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use console::style;
use serde::Serialize;

use crate::model::state::EventState;

/// Writes a line to standard output. A reader that hung up (`| head`) is no error.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes an error to standard error.
pub(super) fn complain(text: &str) {
    let label = style("error:").for_stderr().red().bold();
    let _ = writeln!(io::stderr().lock(), "{label} {text}");
}

/// Writes a value as JSON: indented for people, in one line for pipes.
pub(super) fn say_json<T: Serialize>(value: &T) -> Result<(), serde_json::Error> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)?
    } else {
        serde_json::to_string(value)?
    };
    say(&text);
    Ok(())
}

/// A table without lines, as wide as the terminal at most; unbounded in a pipe.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().map(|title| style(title).bold().to_string()))
        .add_rows(rows);
    if io::stdout().is_terminal() {
        let width = console::Term::stdout().size().1;
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A state, in the colour of how much it needs attention.
pub(super) fn state(state: EventState) -> String {
    let word = style(state.as_str());
    match state {
        EventState::Applied => word.green(),
        EventState::Failed => word.red().bold(),
        EventState::Waiting | EventState::Retrying => word.yellow(),
        EventState::Queued | EventState::Ignored | EventState::Discarded => word.dim(),
    }
    .to_string()
}

/// A value that may be missing.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
