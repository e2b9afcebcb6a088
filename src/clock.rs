//! Time as an argument.
//!
//! Everything that needs to know what time it is takes a [`Clock`]; nothing else in the crate asks
//! the operating system (`clippy.toml` bans it, with the reason). Tests set the clock by hand.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::time::Timestamp;

/// Where the present comes from.
pub trait Clock: Debug + Send + Sync {
    /// The wall-clock time. It may step backwards when the machine's clock is corrected, so no
    /// ordering of events is ever derived from it.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may ask the machine for the time"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
