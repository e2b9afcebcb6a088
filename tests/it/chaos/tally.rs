//! What the sender saw, kept as it happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An ingress, or rather the way to it.
pub(super) type Door = usize;

#[derive(Debug)]
pub(super) struct Tally {
    /// Of each event that was sent, how many of its deliveries were acknowledged.
    pub(super) acknowledged: BTreeMap<String, u32>,
    pub(super) requests: u64,
    pub(super) retries: u64,
    /// Why requests came to nothing, and how many.
    pub(super) refused: BTreeMap<String, u64>,
    /// Refusals for want of durable storage, by door.
    pub(super) not_durable: [u64; 2],
    /// How long acknowledged requests took, in milliseconds.
    pub(super) took: Vec<u32>,
    last: Instant,
    /// The longest time in which nothing was acknowledged.
    pub(super) stall: Duration,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            acknowledged: BTreeMap::new(),
            requests: 0,
            retries: 0,
            refused: BTreeMap::new(),
            not_durable: [0; 2],
            took: Vec::new(),
            last: Instant::now(),
            stall: Duration::ZERO,
        }
    }

    pub(super) fn began(&mut self, event: &str, is_retry: bool) {
        self.requests += 1;
        self.retries += u64::from(is_retry);
        if !self.acknowledged.contains_key(event) {
            self.acknowledged.insert(event.to_owned(), 0);
        }
    }

    pub(super) fn acknowledged(&mut self, event: &str, took: Duration) {
        if let Some(times) = self.acknowledged.get_mut(event) {
            *times += 1;
        }
        self.took
            .push(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
        self.stall = self.stall.max(self.last.elapsed());
        self.last = Instant::now();
    }

    pub(super) fn refused(&mut self, door: Door, because: String) {
        self.not_durable[door] += u64::from(because.contains("not_durable"));
        *self.refused.entry(because).or_default() += 1;
    }

    /// Answers that no fault is a reason for: the program did not know what to do.
    pub(super) fn crashes(&self) -> Vec<String> {
        let refused = self.refused.iter();
        let defects = refused.filter(|(because, _)| because.starts_with("500 "));
        let tell = |(because, number)| format!("{number} requests were answered with {because}");
        defects.map(tell).collect()
    }
}

/// The smallest of these that so many in a hundred do not exceed; sorts them.
pub(super) fn percentile(sorted: &mut [u32], percent: usize) -> u32 {
    sorted.sort_unstable();
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

#[test]
fn an_internal_error_is_a_crash_and_a_refusal_is_none() {
    let mut tally = Tally::new();
    tally.refused(0, "503 not_durable".to_owned());
    tally.refused(1, "no answer in time".to_owned());
    assert_eq!(tally.crashes(), [""; 0]);
    tally.refused(1, "500 internal".to_owned());
    let told = ["1 requests were answered with 500 internal"];
    assert_eq!(tally.crashes(), told);
}
