//! Clocks that do as they are told.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use hookmirror::clock::Clock;
use hookmirror::model::time::Timestamp;

/// Always the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedClock(pub(crate) Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Begins when a test says, and runs as time does.
#[derive(Debug)]
pub(crate) struct RunningClock {
    start: Timestamp,
    began: Instant,
}

impl RunningClock {
    pub(crate) fn new(start: Timestamp) -> Self {
        let began = Instant::now();
        Self { start, began }
    }
}

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.began.elapsed())
    }
}

/// Moves only when a test moves it.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_millis()))
    }

    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
