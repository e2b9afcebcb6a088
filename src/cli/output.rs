//! What people and scripts read: tables, JSON, and complaints.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use console::style;
use serde::Serialize;

use crate::model::state::EventState;

/// Spaces between two columns.
const GAP: u16 = 2;

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

/// A table without lines, as wide as the terminal at most, its cells broken where they must be;
/// unbounded in a pipe.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    draw(header, rows, terminal_width())
}

/// A table whose cells people copy: nothing in it is broken. Columns are given by importance; those
/// that a terminal has no room for are left out, and named below. In a pipe all are there.
pub(super) fn listing(header: &[&str], mut rows: Vec<Vec<String>>) -> String {
    let Some(room) = terminal_width() else {
        return draw(header, rows, None);
    };
    let fitting = fitting_columns(header, &rows, usize::from(room));
    for row in &mut rows {
        row.truncate(fitting);
    }
    let mut text = draw(&header[..fitting], rows, None);
    let left_out = header[fitting..].join(", ");
    if !left_out.is_empty() {
        let note = format!("\n\nno room here for {left_out}: widen the terminal, or see --json");
        text.push_str(&style(note).dim().to_string());
    }
    text
}

/// How many columns fit, from the first on; one at least.
fn fitting_columns(header: &[&str], rows: &[Vec<String>], room: usize) -> usize {
    let mut used = 0;
    header
        .iter()
        .enumerate()
        .take_while(|(index, title)| {
            let cells = rows.iter().filter_map(|row| row.get(*index));
            let widest = cells.map(|cell| console::measure_text_width(cell)).max();
            used += widest.unwrap_or(0).max(title.len());
            let fits = used <= room;
            used += usize::from(GAP);
            fits || *index == 0
        })
        .count()
}

/// The room that a line has; `None` in a pipe, where lines are as long as they are.
pub(super) fn terminal_width() -> Option<u16> {
    let is_terminal = io::stdout().is_terminal();
    is_terminal.then(|| console::Term::stdout().size().1)
}

fn draw(header: &[&str], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().map(|title| style(title).bold().to_string()))
        .add_rows(rows);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
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

/// A number of things, in the right form of their name.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Text that other people wrote, in one line: control characters are shown, so that a terminal does
/// not obey them.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// An amount in the currency's smallest unit; `None` if it is not known. What the smallest unit is
/// depends on the currency, so it is not turned into another one.
pub(super) fn money(smallest_units: Option<i64>, currency: Option<&str>) -> Option<String> {
    let amount = smallest_units?;
    Some(match currency {
        Some(currency) => format!("{amount} {}", shown(currency)),
        None => amount.to_string(),
    })
}

/// A value that may be missing.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
