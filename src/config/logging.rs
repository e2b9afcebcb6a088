//! What is logged and how.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::problems::{Fault, quoted};
use super::reader::Reader;
use super::setting::{DefaultValue, Setting};

/// What stands alone in a filter.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// From here on a word is taken for a misspelt level (1 is equality).
const LIKENESS: f64 = 0.8;

pub(super) const LOG: Setting = Setting {
    name: "HOOKMIRROR_LOG",
    alias: None,
    default: DefaultValue::Text("info"),
    meaning: "a level, or levels by module such as `info,hookmirror::worker=debug`",
};

pub(super) const LOG_FORMAT: Setting = Setting {
    name: "HOOKMIRROR_LOG_FORMAT",
    alias: None,
    default: DefaultValue::Described("`text` on a terminal, else `json`"),
    meaning: "`text` or `json`",
};

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Which events are logged.
    pub filter: Targets,
    /// In which form; `None`: text on a terminal, JSON elsewhere.
    pub format: Option<LogFormat>,
    /// Whether colours may be used, where there is a terminal. `NO_COLOR` forbids them.
    pub color: bool,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl Default for LogSettings {
    /// What holds when nothing is set.
    fn default() -> Self {
        Self {
            filter: Targets::new().with_default(LevelFilter::INFO),
            format: None,
            color: true,
        }
    }
}

impl LogSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        Self {
            filter: reader.read(&LOG, default.filter, parse_filter),
            format: reader.read(&LOG_FORMAT, default.format, |text| {
                parse_format(text).map(Some)
            }),
            color: !reader.no_color,
        }
    }
}

fn parse_filter(text: &str) -> Result<Targets, Fault> {
    let invalid = |what, remedy| Err(Fault::new("invalid_log_filter", what, remedy));
    // To the filter's own grammar a misspelt level is a module, and all else falls silent.
    for word in text.split(',').map(str::trim) {
        let is_level = LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
        let meant = LEVELS
            .into_iter()
            .find(|level| strsim::jaro_winkler(&word.to_ascii_lowercase(), level) >= LIKENESS);
        if let Some(meant) = meant
            && !is_level
        {
            return invalid(
                format!("holds {}, which is not a level", quoted(word)),
                format!("did you mean `{meant}`? For a module, write `=trace` after its name"),
            );
        }
    }
    text.parse().or_else(|_| {
        invalid(
            format!("is {}, not a filter", quoted(text)),
            "write a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or `module=level`, \
             separated by commas"
                .to_owned(),
        )
    })
}

fn parse_format(text: &str) -> Result<LogFormat, Fault> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Fault::new(
            "invalid_log_format",
            format!("is {}, not a format", quoted(text)),
            "write `text` or `json`, or unset it",
        )),
    }
}
