//! How long to wait after the n-th failure: exponential, bounded, with jitter.
//!
//! The arithmetic is backon's. Its jitter adds up to the delay once more, so that many waiters do
//! not come back together; it is drawn from the seed and the number of the failure, so that chance is
//! an argument here as well.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// A policy of waiting.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The delay after the first failure, before jitter.
    pub first: Duration,
    /// The longest delay, before jitter.
    pub longest: Duration,
    /// Decides the jitter; differs between processes.
    pub seed: u64,
}

impl Backoff {
    /// The same policy with another jitter for each name, so that those who fail together do not all
    /// come back together.
    #[must_use]
    pub fn of(self, name: &str) -> Self {
        // Its keys are fixed: the same name gives the same jitter under the same seed.
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self {
            seed: self.seed ^ hasher.finish(),
            ..self
        }
    }

    /// The delay after `failures` earlier failures: from once to twice
    /// `min(first × 2^failures, longest)`.
    pub fn delay(&self, failures: u32) -> Duration {
        let seed = self.seed.wrapping_add(u64::from(failures));
        let jittered = self.doubling(failures).with_jitter().with_jitter_seed(seed);
        self.nth(jittered, failures)
    }

    /// The same with full jitter: anything from nothing to `min(first × 2^failures, longest)`. For many
    /// who wait for one that has trouble: it spreads them best, and some may find it well at once.
    pub fn full_jitter(&self, failures: u32) -> Duration {
        let cap = self.nth(self.doubling(failures), failures);
        self.delay(failures).saturating_sub(cap)
    }

    fn doubling(&self, failures: u32) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(doublings(failures) + 1)
            .with_factor(2.0)
    }

    fn nth(&self, delays: ExponentialBuilder, failures: u32) -> Duration {
        let delay = delays.build().nth(doublings(failures));
        delay.unwrap_or(self.longest)
    }
}

/// Doubling more often than this exceeds any `longest`; bounded to keep it cheap.
const fn doublings(failures: u32) -> usize {
    if failures < 40 { failures as usize } else { 40 }
}

/// Failures in a row of something that is needed all the time: how long to wait after each, and
/// when there is something new to say. A log that repeats itself hides what is in it.
#[derive(Debug)]
pub struct Outage {
    backoff: Backoff,
    failures: u32,
}

impl Outage {
    /// None so far.
    pub const fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            failures: 0,
        }
    }

    /// Counts a failure; answers how long to wait before the next attempt.
    pub fn failed(&mut self) -> Duration {
        let wait = self.backoff.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// Whether there has been exactly one failure.
    pub const fn has_just_begun(&self) -> bool {
        self.failures == 1
    }

    /// Ends it, if there is one; answers whether there was.
    pub fn end(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}
