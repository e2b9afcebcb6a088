//! When an event that failed in a way that may pass is tried again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::changes::Failure;
use super::event::{Event, EventKey, EventType};
use super::time::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// How long to wait after each failed attempt, in seconds; 19 to 23 hours in all, so that a mistake
/// made in the evening can be put right in the morning. The attempt after the last wait is the last.
const WAITS: [u64; 9] = [
    10,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    8 * HOUR,
];
/// The jitter added to a wait is less than this part of it.
const JITTER: u64 = 5;

/// When to try again after the `attempt`-th attempt (counted from 1) failed at `now`. `None` if it was
/// the last one.
///
/// Events that fail together come back spread out: the jitter is drawn from the event's key and the
/// number of the attempt, so the same history gives the same times.
pub fn next_attempt(key: &EventKey, attempt: u32, now: Timestamp) -> Option<Timestamp> {
    let place = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let wait = Duration::from_secs(*WAITS.get(place)?);
    let mut hasher = DefaultHasher::new();
    (key, attempt).hash(&mut hasher);
    let most = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) / JITTER;
    let jitter = Duration::from_millis(hasher.finish() % most.max(1));
    Some(now.plus(wait + jitter))
}

/// What becomes of an event that is due and whose payload is gone, or was never kept: there is nothing
/// to try again with.
pub fn without_payload(event_type: &EventType) -> Failure {
    let message = "it cannot be tried again: its payload is not kept any more";
    Failure::new("payload_gone", "payload", event_type, message.to_owned())
}

/// The right to put one event back onto the queue until the lease runs out.
///
/// Not needed for correctness, as an event may be on the queue twice; it keeps schedulers from doing
/// each other's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryLease {
    /// The event, as it came first.
    pub event: Event,
    /// When it falls due again, unless it is reported as queued before.
    pub until: Timestamp,
}
