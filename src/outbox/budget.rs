//! How much may be sent to Clerk, so that its rate limits are kept rather than run into.
//!
//! Two budgets: the instance's, shared by all users of one secret key, is smooth (GCRA with a small
//! burst); that of one user is the list of the last writes. Both are pure: time is an argument, and a
//! clock that was set back costs no more than a moment.
//!
//! Guaranteed: in no window of ten seconds, half open, more than the limit is sent, and with a backlog
//! 95 % of it (or one less, where that is less) are. NOT guaranteed: what another process sends under
//! the same key, or sent before this one began. What is left of the limit covers requests that arrive
//! up to 300 ms closer together than they were sent.
//!
//! Own code, as `governor` takes what it grants: it cannot say how much there is for a round before
//! the round is leased, and its clock must not step back.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// What Clerk's limits are counted over.
const WINDOW: Duration = Duration::from_secs(10);
/// How much closer together two writes for one user may arrive than they were sent. The budget of a
/// user has no room to spare, as that of the instance has.
const JITTER: Duration = Duration::from_millis(500);

/// How many writes are allowed in any ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimits {
    /// To all users together. Taken for two at least.
    pub per_instance: u32,
    /// To one user. Taken for one at least.
    pub per_user: u32,
}

/// The instance's budget.
#[derive(Debug)]
pub(super) struct InstanceBudget {
    /// Between two writes, in microseconds.
    interval: i64,
    burst: i64,
    /// When the whole burst is there again, in microseconds since the epoch.
    full_at: i64,
}

impl InstanceBudget {
    pub(super) fn new(per_window: u32) -> Self {
        let limit = i64::from(per_window.max(2));
        let burst = (limit * 2 / 100).max(1);
        // A window holds at most the burst, and what comes back during it.
        let sustained = (limit * 95 / 100).clamp(1, limit - burst);
        let window = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX);
        Self {
            interval: (window + sustained - 1) / sustained,
            burst,
            full_at: i64::MIN,
        }
    }

    /// It cannot take longer than to earn the whole burst: more than that, and the clock was set back.
    pub(super) fn notice(&mut self, now: Timestamp) {
        let latest = micros(now).saturating_add(self.burst * self.interval);
        self.full_at = self.full_at.min(latest);
    }

    /// How many writes there are for now: none while there are too few to be worth a round.
    pub(super) fn available(&self, now: Timestamp) -> u32 {
        let missing = self.missing(now);
        let there = self.burst
            - missing.div_euclid(self.interval)
            - i64::from(missing.rem_euclid(self.interval) > 0);
        if there < self.worth_a_round() {
            return 0;
        }
        u32::try_from(there).unwrap_or(u32::MAX)
    }

    /// How long until there is anything for a round.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let allowed = (self.burst - self.worth_a_round()) * self.interval;
        let micros = (self.missing(now) - allowed).max(0);
        // The clock has milliseconds: a wait that ended in the middle of one would come too early.
        Duration::from_millis(u64::try_from(micros).unwrap_or(0).div_ceil(1000))
    }

    pub(super) fn take(&mut self, writes: usize, now: Timestamp) {
        let writes = i64::try_from(writes).unwrap_or(i64::MAX);
        let spent = writes.saturating_mul(self.interval);
        self.full_at = (micros(now) + self.missing(now)).saturating_add(spent);
    }

    /// Half of the burst: the other half comes back while the round is on its way.
    fn worth_a_round(&self) -> i64 {
        (self.burst / 2).max(1)
    }

    /// How long until the burst is whole.
    fn missing(&self, now: Timestamp) -> i64 {
        self.full_at.saturating_sub(micros(now)).max(0)
    }
}

fn micros(time: Timestamp) -> i64 {
    time.as_millis().saturating_mul(1000)
}

/// The budgets of all users that were written to lately.
#[derive(Debug)]
pub(super) struct UserBudgets {
    per_window: usize,
    /// When each was written to, the latest last.
    writes: HashMap<UserId, VecDeque<Timestamp>>,
    swept_at: Option<Timestamp>,
}

impl UserBudgets {
    pub(super) fn new(per_window: u32) -> Self {
        Self {
            per_window: per_window.max(1) as usize,
            writes: HashMap::new(),
            swept_at: None,
        }
    }

    /// Takes one write to this user.
    ///
    /// # Errors
    ///
    /// With the time at which there will be one, if there is none now.
    pub(super) fn take(&mut self, user: &UserId, now: Timestamp) -> Result<(), Timestamp> {
        self.sweep(now);
        let writes = self.writes.entry(user.clone()).or_default();
        while writes.front().is_some_and(|write| is_over(*write, now)) {
            writes.pop_front();
        }
        match writes.front() {
            Some(first) if writes.len() >= self.per_window => Err(first.plus(WINDOW + JITTER)),
            _ => {
                writes.push_back(now);
                Ok(())
            }
        }
    }

    /// Forgets who was not written to for a while.
    fn sweep(&mut self, now: Timestamp) {
        if self
            .swept_at
            .is_some_and(|swept_at| !is_over(swept_at, now))
        {
            return;
        }
        self.swept_at = Some(now);
        self.writes
            .retain(|_, writes| writes.back().is_some_and(|write| !is_over(*write, now)));
    }
}

/// Whether this is no longer counted. What lies in the future is from before the clock was set back.
fn is_over(write: Timestamp, now: Timestamp) -> bool {
    write > now || now.since(write) >= WINDOW + JITTER
}
