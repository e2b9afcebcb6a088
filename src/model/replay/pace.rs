//! How fast a replay goes, whatever number of schedulers work for it.
//!
//! The pace is one point in time, kept with the replay: what was handed out so far fills the time until
//! then. Who hands out more moves it on in the same transaction.

use std::time::Duration;

use super::ReplayRate;
use crate::model::time::Timestamp;

/// Time that went by unused is made up for by at most this much, or by one event.
const BURST: Duration = Duration::from_millis(300);

/// The pace of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How fast it may go.
    pub rate: ReplayRate,
    /// Until when the time is filled.
    pub until: Timestamp,
}

impl Pace {
    /// How many events may be handed out at `now`.
    pub fn allows(self, now: Timestamp) -> u32 {
        let millis = now.since(self.begins(now)).as_millis();
        let events = millis * u128::from(self.rate.per_second()) / 1000;
        u32::try_from(events).unwrap_or(u32::MAX)
    }

    /// The pace after so many were handed out at `now`.
    #[must_use]
    pub fn after(self, events: u32, now: Timestamp) -> Self {
        // Rounded up, so that no rate is exceeded in the long run.
        let millis = (u64::from(events) * 1000).div_ceil(u64::from(self.rate.per_second()));
        let until = self.begins(now).plus(Duration::from_millis(millis));
        Self { until, ..self }
    }

    /// What is longer ago than this is forgotten.
    fn begins(self, now: Timestamp) -> Timestamp {
        let one = 1000_u64.div_ceil(u64::from(self.rate.per_second()));
        let most = BURST.max(Duration::from_millis(one));
        self.until.max(now.minus(most))
    }
}
