//! What came of the posting.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::Delivery;
use crate::model::event::EventKey;

/// How one delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The receiver owns it.
    Accepted {
        /// How long the attempt that was answered so had taken.
        latency: Duration,
    },
    /// The receiver does not want it, and would not want it the next time.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the body of the answer says.
        answer: Option<ErrorAnswer>,
    },
    /// Time was up before any attempt had an answer that is one.
    GaveUp {
        /// Why the last attempt failed, in one line.
        because: String,
    },
}

/// The receiver's own words, `{"error":{"code":…,"message":…}}`. Without control characters and
/// held to a length that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// The stable code.
    pub code: String,
    /// The sentence for a person.
    pub message: String,
}

/// Deliveries that were refused with the same status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// How many.
    pub count: u64,
    /// What the first of them that said anything said.
    pub first_answer: Option<ErrorAnswer>,
}

/// How long receivers took to accept: from the start of the attempt to the end of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Half of them were not slower.
    pub p50: Duration,
    /// 99 in a hundred were not slower.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Latency {
    /// The latencies of several deliveries in short, by nearest rank; `None` of nothing.
    pub fn of(mut latencies: Vec<Duration>) -> Option<Self> {
        latencies.sort_unstable();
        let rank = |percent: usize| {
            let rank = (latencies.len() * percent).div_ceil(100);
            latencies.get(rank.checked_sub(1)?).copied()
        };
        Some(Self {
            p50: rank(50)?,
            p99: rank(99)?,
            max: rank(100)?,
        })
    }
}

/// What came of a plan. `planned = accepted + refused + gave_up + unfinished`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many deliveries were to be made.
    pub planned: u64,
    /// How many were made, whatever their end.
    pub deliveries: u64,
    /// How many distinct events were in those.
    pub events: u64,
    /// How many deliveries were answered with a 2xx.
    pub accepted: u64,
    /// Deliveries that were refused, by status.
    pub refused: BTreeMap<u16, Refusals>,
    /// How many deliveries had no answer that is one in time.
    pub gave_up: u64,
    /// Why, the first time.
    pub gave_up_because: Option<String>,
    /// How many attempts were made after the first attempts.
    pub retries: u64,
    /// How long it all took.
    pub elapsed: Duration,
    /// How long the receiver took to accept, if it accepted anything.
    pub latency: Option<Latency>,
    /// Whether it was stopped early.
    pub cancelled: bool,
}

impl Report {
    /// How many deliveries were refused, with any status.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().map(|refusals| refusals.count).sum()
    }

    /// How many deliveries were not made, or under way, when it was stopped. Those under way may
    /// have arrived.
    pub fn unfinished(&self) -> u64 {
        self.planned - self.deliveries
    }

    /// Whether every planned delivery was accepted.
    pub fn is_complete(&self) -> bool {
        self.accepted == self.planned
    }
}

/// A report in the making.
#[derive(Default)]
pub(super) struct Tally {
    report: Report,
    events: HashSet<EventKey>,
    latencies: Vec<Duration>,
}

impl Tally {
    pub(super) fn record(&mut self, delivery: &Delivery, ending: Ending) {
        self.report.deliveries += 1;
        self.events.insert(delivery.key());
        match ending {
            Ending::Accepted { latency } => {
                self.report.accepted += 1;
                self.latencies.push(latency);
            }
            Ending::Refused { status, answer } => {
                let refusals = self.report.refused.entry(status).or_default();
                refusals.count += 1;
                if refusals.first_answer.is_none() {
                    refusals.first_answer = answer;
                }
            }
            Ending::GaveUp { because } => {
                self.report.gave_up += 1;
                self.report.gave_up_because.get_or_insert(because);
            }
        }
    }

    pub(super) fn finish(
        self,
        planned: usize,
        retries: u64,
        elapsed: Duration,
        cancelled: bool,
    ) -> Report {
        Report {
            planned: planned as u64,
            events: self.events.len() as u64,
            latency: Latency::of(self.latencies),
            retries,
            elapsed,
            cancelled,
            ..self.report
        }
    }
}
