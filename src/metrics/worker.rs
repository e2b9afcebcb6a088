//! What the worker and the drain of dead letters count.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Counted, Histogram, LATENCIES, Labels, OTHER, UNKNOWN};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

/// One transaction takes 200 at most.
const BATCH_SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0];
/// From milliseconds while all is well to the days of an outage, in seconds.
const LAGS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0,
    86_400.0,
];

/// Figures of one process that works. Clones count together.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    events: Family<Labels, Counter>,
    batch_size: Histogram,
    apply_seconds: Histogram,
    lag: Histogram,
    dead_letters: Family<Labels, Counter>,
}

/// Why the queue gave something up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadCause {
    /// It was handed out too often.
    TooManyDeliveries,
    /// It is not what this program publishes.
    Unreadable,
    /// Somebody else removed it.
    Removed,
}

impl DeadCause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TooManyDeliveries, Self::Unreadable, Self::Removed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooManyDeliveries => "too_many_deliveries",
            Self::Unreadable => "unreadable",
            Self::Removed => "removed",
        }
    }
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        let dead_letters: Family<Labels, Counter> = Family::default();
        for cause in DeadCause::ALL {
            dead_letters.get_or_create_owned(&cause_label(cause));
        }
        Self {
            events: Family::default(),
            batch_size: Histogram::new(BATCH_SIZES),
            apply_seconds: Histogram::new(LATENCIES),
            lag: Histogram::new(LAGS),
            dead_letters,
        }
    }
}

impl WorkerMetrics {
    /// So many events were committed together, in so long a time.
    pub fn committed(&self, events: usize, took: Duration) {
        self.batch_size.observe(events as f64);
        self.apply_seconds.observe(took.as_secs_f64());
    }

    /// This many deliveries of events from one source and of one type came to a state. A source that is
    /// not configured and a type that no handler acts on are `None`: their names are not ours to bound.
    pub fn came_to(
        &self,
        source: Option<&SourceName>,
        event_type: Option<&'static str>,
        state: &'static str,
        events: u64,
    ) {
        let source = source.map_or(UNKNOWN, SourceName::as_str);
        let event_type = event_type.unwrap_or(OTHER);
        let labels = vec![
            ("source", source.to_owned()),
            ("type", event_type.to_owned()),
            ("state", state.to_owned()),
        ];
        self.events.get_or_create_owned(&labels).inc_by(events);
    }

    /// What came as a webhook at one time was in the mirror at another.
    pub fn mirrored(&self, received_at: Timestamp, now: Timestamp) {
        self.lag.observe(now.since(received_at).as_secs_f64());
    }

    /// The queue gave something up, and it is recorded.
    pub fn died(&self, cause: DeadCause) {
        self.dead_letters
            .get_or_create_owned(&cause_label(cause))
            .inc();
    }
}

fn cause_label(cause: DeadCause) -> Labels {
    vec![("cause", cause.as_str().to_owned())]
}

impl Counted for WorkerMetrics {
    fn register(&self, page: &mut Registry) {
        let help =
            "Deliveries that were processed, by the state they led to; duplicate: settled before";
        page.register("events", help, self.events.clone());
        let help = "Events committed in one transaction";
        page.register("apply_batch_size", help, self.batch_size.clone());
        let help = "Time of one transaction with its decisions";
        page.register("apply_seconds", help, self.apply_seconds.clone());
        let help = "From a webhook's arrival to its effect; without retries and replays";
        page.register("mirror_lag_seconds", help, self.lag.clone());
        let help = "What the queue gave up on, by its reason; recorded as failed events";
        page.register("dead_letters", help, self.dead_letters.clone());
    }
}
