//! What the front door counts. On the way to a 202: no lock, and nothing is allocated.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Counted, Histogram, LATENCIES, Labels, UNKNOWN};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// Figures of one front door. Clones count together.
#[derive(Clone, Debug)]
pub struct IngressMetrics {
    requests: Family<Labels, Counter>,
    secrets: Family<Labels, Gauge>,
    seconds: Histogram,
    confirm_seconds: Histogram,
    sources: Vec<SourceMetrics>,
    unknown: SourceMetrics,
}

/// Those of one source.
#[derive(Clone, Debug)]
pub struct SourceMetrics {
    /// One for each outcome.
    requests: Vec<(&'static str, Counter)>,
    /// One for each secret, in the order of the settings.
    secrets: Vec<Gauge>,
}

impl IngressMetrics {
    /// Counts requests to these sources, each with the labels of its secrets, by these outcomes.
    pub fn new<'a>(
        sources: impl IntoIterator<Item = (&'a SourceName, &'a [String])>,
        outcomes: &[&'static str],
    ) -> Self {
        let requests: Family<Labels, Counter> = Family::default();
        let secrets: Family<Labels, Gauge> = Family::default();
        let source = |name: &str, labels: &[String]| {
            let labelled = |label: &'static str, value: &str| {
                vec![("source", name.to_owned()), (label, value.to_owned())]
            };
            let count = |outcome: &&'static str| {
                let counter = requests.get_or_create_owned(&labelled("outcome", outcome));
                (*outcome, counter)
            };
            let used = |secret: &String| secrets.get_or_create_owned(&labelled("secret", secret));
            SourceMetrics {
                requests: outcomes.iter().map(count).collect(),
                secrets: labels.iter().map(used).collect(),
            }
        };
        Self {
            sources: sources
                .into_iter()
                .map(|(name, labels)| source(name.as_str(), labels))
                .collect(),
            unknown: source(UNKNOWN, &[]),
            seconds: Histogram::new(LATENCIES),
            confirm_seconds: Histogram::new(LATENCIES),
            requests,
            secrets,
        }
    }

    /// The figures of a source, by its place among those that were given; all others together.
    pub fn source(&self, place: Option<usize>) -> &SourceMetrics {
        place
            .and_then(|place| self.sources.get(place))
            .unwrap_or(&self.unknown)
    }

    /// A webhook was answered, so long after its headers had come.
    pub fn took(&self, duration: Duration) {
        self.seconds.observe(duration.as_secs_f64());
    }

    /// The queue has confirmed an event, so long after it was given to it.
    pub fn confirmed_after(&self, duration: Duration) {
        self.confirm_seconds.observe(duration.as_secs_f64());
    }
}

impl SourceMetrics {
    /// A request had this outcome.
    pub fn ended(&self, outcome: &str) {
        let mut known = self.requests.iter();
        if let Some((_, counter)) = known.find(|(known, _)| *known == outcome) {
            counter.inc();
        }
    }

    /// A request was signed with the secret at this place.
    pub fn secret_used(&self, place: usize, at: Timestamp) {
        if let Some(gauge) = self.secrets.get(place) {
            gauge.set(at.as_seconds());
        }
    }
}

impl Counted for IngressMetrics {
    fn register(&self, page: &mut Registry) {
        let help = "Requests that meant to deliver a webhook, by their answer's code";
        page.register("ingress_requests", help, self.requests.clone());
        let help = "From the headers of a webhook to its answer";
        page.register("ingress_seconds", help, self.seconds.clone());
        let help = "From the hand-over to the queue to its confirm";
        page.register(
            "publish_confirm_seconds",
            help,
            self.confirm_seconds.clone(),
        );
        // Without any secret there would be a name and no figure.
        if self.sources.iter().any(|source| !source.secrets.is_empty()) {
            let help = "When a webhook was last signed with this secret, since the start; 0: never";
            page.register("secret_last_used_timestamp", help, self.secrets.clone());
        }
    }
}
