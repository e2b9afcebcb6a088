//! Spans: what one event did, and how long it took, from the webhook to the call of Clerk.
//!
//! Actors: a role asks [`Traces`] for the id of each span and, when the span has ended, hands it over;
//! the [`Exporter`] sends what it was handed to a collector, by OTLP over HTTP. Without a collector
//! there are ids only, so that whoever traces next, RabbitMQ's consumers and Clerk's proxies included,
//! finds one trace.
//!
//! Guaranteed: nobody waits for the exporter, and nothing fails with it. What it cannot hold is lost,
//! and what the collector does not take is too; both are told once in an outage. No span holds
//! anything of a body, a header or an error's text. NOT guaranteed: that every span arrives.
//!
//! A retry or a replay begins a trace of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::model::time::Timestamp;
use crate::model::trace::{TraceContext, TraceIds};

mod otlp;

pub use self::otlp::{Collector, Exporter, ExporterError};

/// Who did what a span tells of, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Somebody asked us.
    Server,
    /// We took it from a queue.
    Consumer,
    /// We asked somebody.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text: an id, or a word of ours.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Something that has ended.
#[derive(Clone, Debug)]
pub struct Span {
    /// What it is called: one of few names.
    pub name: &'static str,
    /// Who did it.
    pub kind: SpanKind,
    /// Its own id and its trace.
    pub context: TraceContext,
    /// The span that caused it.
    pub parent: Option<TraceContext>,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What else is told.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// Whether it failed.
    pub failed: bool,
}

/// Where spans get their ids, and where they go. Clones share both.
#[derive(Clone, Debug)]
pub struct Traces {
    ids: Arc<TraceIds>,
    spans: Option<mpsc::Sender<Span>>,
}

impl Traces {
    /// Ids that follow from a seed, and no spans.
    pub fn ids_only(seed: u64) -> Self {
        Self {
            ids: Arc::new(TraceIds::of(seed)),
            spans: None,
        }
    }

    /// The id of a span that begins now.
    pub fn begin(&self, parent: Option<TraceContext>) -> TraceContext {
        self.ids.span(parent)
    }

    /// Hands over a span that has ended. It is not even made where nobody wants it.
    pub fn end(&self, context: TraceContext, span: impl FnOnce() -> Span) {
        if let Some(spans) = &self.spans
            && context.is_sampled()
        {
            // Full: the collector is too slow, or away, which the exporter tells.
            let _ = spans.try_send(span());
        }
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self::ids_only(0)
    }
}
