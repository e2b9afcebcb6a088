//! A clock that stands still.

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
