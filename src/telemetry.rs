//! Logging: where the process's own account of itself goes.
//!
//! One line an event, on standard error; standard output belongs to commands. Colours are for
//! terminals only. Callers keep bodies, secrets and personal data out of what they log: nothing here
//! could tell them from other text.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{LogFormat, LogSettings};

/// The AMQP library logs a message that comes back as unroutable with its whole body.
const LOGS_BODIES: &str = "lapin::returned_messages";

/// What libraries say of an outage we say ourselves, once and in our own words. They are heard where
/// the filter names them, or asks everybody for details.
const LIBRARIES: [(&str, LevelFilter); 2] =
    [("lapin", LevelFilter::OFF), ("sqlx", LevelFilter::ERROR)];

/// Begins to log to standard error, for the rest of the process's life.
///
/// # Errors
///
/// When the process logs already.
pub fn init(settings: &LogSettings) -> Result<(), AlreadyLogging> {
    let stderr = io::stderr();
    subscriber(settings, io::stderr, stderr.is_terminal())
        .try_init()
        .map_err(AlreadyLogging)
}

/// What [`init`] installs, writing to `writer`, which is a terminal or is not.
pub fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    is_terminal: bool,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let automatic = if is_terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let lines = fmt::layer()
        .with_ansi(is_terminal && settings.color)
        .with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.format.unwrap_or(automatic) {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    };
    let filter = without_libraries(settings.filter.clone());
    let filter = filter.with_target(LOGS_BODIES, LevelFilter::OFF);
    // A filter for everything, not one of the layer: after a library has asked whether it would be
    // heard and was told no, the latter also drops the next line of somebody else.
    Box::new(tracing_subscriber::registry().with(lines).with(filter))
}

fn without_libraries(filter: Targets) -> Targets {
    let wants_details = filter.default_level() > Some(LevelFilter::INFO);
    LIBRARIES
        .into_iter()
        .fold(filter, |filter, (library, level)| {
            let is_named = filter.iter().any(|(name, _)| name.starts_with(library));
            match filter.default_level() {
                Some(default) if !is_named && !wants_details => {
                    filter.with_target(library, level.min(default))
                }
                _ => filter,
            }
        })
}

/// Something in this process has set up logging before.
#[derive(Debug, thiserror::Error)]
#[error("logging cannot be set up twice in one process")]
pub struct AlreadyLogging(#[source] TryInitError);
