//! Whether an event should wait for the broker at all.
//!
//! A broker that is away fails at once, which costs nothing. One that is connected and does not answer
//! would cost every event its patience; so after one that waited in vain the others go to the spool
//! directly for a while, and then a single one tries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::time::Timestamp;

/// How long nobody waits for the broker after somebody did in vain.
const PAUSE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Every event tries the broker.
    #[default]
    Closed,
    /// None does, for a while from then on.
    Open { since: Timestamp },
    /// The next one does.
    Due,
    /// One does.
    Probing,
}

impl Breaker {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::default(),
            clock,
        }
    }

    /// The right to try the broker; `None` to go elsewhere. `always` if there is nowhere else.
    pub(super) fn route(&self, always: bool) -> Option<Route<'_>> {
        let now = self.clock.now();
        let mut state = self.state();
        let probe = match *state {
            State::Closed => false,
            State::Open { since } if lasts(since, now) => {
                if !always {
                    return None;
                }
                false
            }
            State::Open { .. } | State::Due => {
                *state = State::Probing;
                true
            }
            State::Probing if always => false,
            State::Probing => return None,
        };
        Some(Route {
            breaker: self,
            probe,
        })
    }

    /// Whether nobody should wait for the broker now.
    pub(super) fn is_open(&self) -> bool {
        match *self.state() {
            State::Closed | State::Due => false,
            State::Open { since } => lasts(since, self.clock.now()),
            State::Probing => true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clock that was set back ends the pause.
fn lasts(since: Timestamp, now: Timestamp) -> bool {
    now >= since && now.since(since) < PAUSE
}

/// An event on its way to the broker. Dropped without a result, it tells nothing: if it was a probe,
/// the next event is.
#[derive(Debug)]
pub(super) struct Route<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Route<'_> {
    /// The broker confirmed in time.
    pub(super) fn confirmed(mut self) {
        // What others that began earlier came to says less about now than a probe.
        if std::mem::take(&mut self.probe) {
            *self.breaker.state() = State::Closed;
        }
    }

    /// It did not; `slow` if that took a while.
    pub(super) fn failed(mut self, slow: bool) {
        let probe = std::mem::take(&mut self.probe);
        if slow {
            let since = self.breaker.clock.now();
            *self.breaker.state() = State::Open { since };
        } else if probe {
            *self.breaker.state() = State::Closed;
        }
    }
}

impl Drop for Route<'_> {
    fn drop(&mut self) {
        if self.probe {
            *self.breaker.state() = State::Due;
        }
    }
}
