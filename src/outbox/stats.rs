//! What a dispatcher can tell about itself while it runs.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::model::time::Timestamp;

/// How a request to Clerk ended. A fixed set, so that it can be a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// Clerk confirmed it.
    Delivered,
    /// Clerk does not know the user.
    UserGone,
    /// Too many requests.
    Throttled,
    /// The key is not accepted.
    KeyRefused,
    /// No answer, a conflict, or an error of Clerk's.
    Retry,
    /// Clerk refused the content.
    Parked,
}

impl RequestOutcome {
    /// All outcomes.
    pub const ALL: [Self; 6] = [
        Self::Delivered,
        Self::UserGone,
        Self::Throttled,
        Self::KeyRefused,
        Self::Retry,
        Self::Parked,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::UserGone => "user_gone",
            Self::Throttled => "throttled",
            Self::KeyRefused => "key_refused",
            Self::Retry => "retry",
            Self::Parked => "parked",
        }
    }
}

/// The key is accepted, as far as is known.
const NOT_REFUSED: i64 = i64::MIN;

/// Counters and states of one dispatcher. Read at any time, without waiting for it; each figure is
/// right by itself, two of them may be of different moments.
#[derive(Debug)]
pub struct DeliveryStats {
    /// In the order of [`RequestOutcome::ALL`].
    requests: [AtomicU64; RequestOutcome::ALL.len()],
    alarms: AtomicU64,
    /// Milliseconds since the epoch.
    key_refused_since: AtomicI64,
}

impl Default for DeliveryStats {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            alarms: AtomicU64::new(0),
            key_refused_since: AtomicI64::new(NOT_REFUSED),
        }
    }
}

impl DeliveryStats {
    /// How many requests have ended like this.
    pub fn requests(&self, outcome: RequestOutcome) -> u64 {
        self.requests[outcome as usize].load(Ordering::Relaxed)
    }

    /// Since when Clerk has not accepted the key; `None` while it does.
    pub fn key_refused_since(&self) -> Option<Timestamp> {
        let since = self.key_refused_since.load(Ordering::Relaxed);
        (since != NOT_REFUSED).then(|| Timestamp::from_millis(since))
    }

    /// How often the key stopped being accepted.
    pub fn key_alarms(&self) -> u64 {
        self.alarms.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, outcome: RequestOutcome) {
        self.requests[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn key_refused(&self, since: Timestamp) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
        self.key_refused_since
            .store(since.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn key_accepted(&self) {
        self.key_refused_since.store(NOT_REFUSED, Ordering::Relaxed);
    }
}
