//! What is counted where it happens, as handles that cost an atomic operation to update.
//!
//! Actors: a role holds the struct of its name and counts; the private listener asks each to
//! [register](Counted::register) what it holds, and writes the page. There is no global registry: two
//! systems in one process count apart.
//!
//! Guaranteed: labels are bounded, whatever is sent: sources are the configured ones, else `unknown`;
//! types are those that handlers act on, else `other`; the rest are fixed sets. What can be counted is
//! there from the start, with 0: an alarm on what is not there yet would stay silent. NOT guaranteed:
//! that two figures of one page are of the same moment, or that a count outlives the process.

use std::fmt::Debug;

use prometheus_client::registry::Registry;

mod histogram;
mod ingress;
mod worker;

pub use self::histogram::Histogram;
pub use self::ingress::{IngressMetrics, SourceMetrics};
pub use self::worker::{DeadCause, WorkerMetrics};

/// What a source is called that is not configured.
pub const UNKNOWN: &str = "unknown";
/// What a type is called that no handler acts on.
pub const OTHER: &str = "other";

/// From well below an fsync to the longest that a provider waits, in seconds.
const LATENCIES: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Names and values of one figure's labels.
type Labels = Vec<(&'static str, String)>;

/// Somebody who counts.
pub trait Counted: Debug + Send + Sync {
    /// Puts all figures on the page that is being made. What is registered is read when the page is
    /// written.
    fn register(&self, page: &mut Registry);
}
