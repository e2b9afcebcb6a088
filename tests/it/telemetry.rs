//! Log lines: their form, their filter, their colours.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use hookmirror::config::{Config, LogSettings};
use hookmirror::telemetry;
use serde_json::Value;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(environment: &[(&str, &str)]) -> LogSettings {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(environment).expect("right settings").log
}

/// What is written when one line of each level is logged.
fn logged(settings: &LogSettings, is_terminal: bool) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = telemetry::subscriber(settings, move || writer.clone(), is_terminal);
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(target: "hookmirror::queue", waiting = 3, "queue is slow");
        tracing::info!(target: "hookmirror::worker", "applied");
        tracing::debug!(target: "hookmirror::worker", "details");
        tracing::error!(target: "lapin::io_loop", "of the wire");
        tracing::info!(target: "sqlx::postgres::notice", "of the server");
        tracing::warn!(target: "lapin::returned_messages", message_body = "private", "returned");
    });
    let bytes = captured.0.lock().expect("no writer panics").clone();
    String::from_utf8(bytes).expect("log lines are text")
}

#[test]
fn elsewhere_than_on_a_terminal_each_line_is_one_json_object() {
    let output = logged(&settings(&[]), false);
    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2, "debug is not on: {output}");
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[0]["target"], "hookmirror::queue");
    assert_eq!(lines[0]["message"], "queue is slow");
    assert_eq!(lines[0]["waiting"], 3);
    assert!(lines[0]["timestamp"].is_string());
}

#[test]
fn the_body_that_a_library_logs_is_not_logged_at_any_level() {
    for level in ["warn", "trace"] {
        let output = logged(&settings(&[("HOOKMIRROR_LOG", level)]), false);
        assert!(output.contains("queue is slow"), "{output}");
        assert!(!output.contains("private"), "{output}");
    }
}

#[test]
fn libraries_are_heard_where_they_are_named_or_details_are_asked_for() {
    let of = |filter| logged(&settings(&[("HOOKMIRROR_LOG", filter)]), false);
    for filter in ["info", "warn", "error", "info,hookmirror::worker=debug"] {
        let output = of(filter);
        assert!(
            !output.contains("of the wire") && !output.contains("of the server"),
            "{output}"
        );
    }
    for filter in ["debug", "info,lapin=error,sqlx=info"] {
        let output = of(filter);
        assert!(
            output.contains("of the wire") && output.contains("of the server"),
            "{output}"
        );
    }
}

#[test]
fn a_terminal_gets_coloured_text_unless_told_otherwise() {
    let escape = '\u{1b}';
    let coloured = logged(&settings(&[]), true);
    assert!(coloured.contains("queue is slow") && coloured.contains(escape));

    let plain = logged(&settings(&[("NO_COLOR", "1")]), true);
    assert!(plain.contains("queue is slow") && !plain.contains(escape));
    assert!(logged(&settings(&[("NO_COLOR", "")]), true).contains(escape));

    let text_in_a_file = logged(&settings(&[("HOOKMIRROR_LOG_FORMAT", "text")]), false);
    assert!(text_in_a_file.contains("queue is slow") && !text_in_a_file.contains(escape));

    let json = logged(&settings(&[("HOOKMIRROR_LOG_FORMAT", "json")]), true);
    assert!(json.starts_with('{') && !json.contains(escape));
}

#[test]
fn the_filter_sets_levels_by_module() {
    let settings = settings(&[("HOOKMIRROR_LOG", "error,hookmirror::worker=debug")]);
    let output = logged(&settings, false);
    assert!(output.contains("details") && output.contains("applied"));
    assert!(!output.contains("queue is slow"));
}

#[test]
fn to_begin_twice_is_an_error_and_no_panic() {
    let settings = settings(&[("HOOKMIRROR_LOG", "off")]);
    // Another test of this process may have been first.
    let results = [telemetry::init(&settings), telemetry::init(&settings)];
    let error = results[1].as_ref().expect_err("the second one");
    assert_eq!(
        error.to_string(),
        "logging cannot be set up twice in one process"
    );
}
