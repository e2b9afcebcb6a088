//! Clerk's rate limits, as strictly as they can be read: a sliding window, judged by when a request
//! arrives, and after a refusal nothing is let in before `Retry-After` is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;

use crate::support::clock::ManualClock;

const WINDOW: Duration = Duration::from_secs(10);
/// How long requests are on their way, in milliseconds: from nothing to this.
const LATENCY: u64 = 50;

#[derive(Debug)]
pub(crate) struct StrictLimits {
    clock: Arc<ManualClock>,
    per_instance: usize,
    per_user: usize,
    admitted: Vec<Timestamp>,
    of_user: BTreeMap<UserId, Vec<Timestamp>>,
    blocked_until: Option<Timestamp>,
    asked: u64,
    refused: usize,
}

impl StrictLimits {
    pub(crate) fn new(clock: &Arc<ManualClock>, per_instance: usize, per_user: usize) -> Self {
        Self {
            clock: Arc::clone(clock),
            per_instance,
            per_user,
            admitted: Vec::new(),
            of_user: BTreeMap::new(),
            blocked_until: None,
            asked: 0,
            refused: 0,
        }
    }

    /// How many requests were refused.
    pub(crate) fn refused(&self) -> usize {
        self.refused
    }

    /// Counts a request, or answers how long to stay away.
    pub(crate) fn admit(&mut self, user: &UserId) -> Result<(), Duration> {
        self.asked += 1;
        // Not random, and never twice the same in a row.
        let latency = Duration::from_millis(self.asked * 29 % (LATENCY + 1));
        let arrives = self.clock.now().plus(latency);
        let of_user = self.of_user.entry(user.clone()).or_default();
        let over = [
            room(&mut self.admitted, self.per_instance, arrives),
            room(of_user, self.per_user, arrives),
            self.blocked_until.filter(|until| arrives < *until),
        ];
        if let Some(until) = over.into_iter().flatten().max() {
            self.refused += 1;
            let seconds = until.since(arrives).as_millis().div_ceil(1000);
            let wait = Duration::from_secs(u64::try_from(seconds).unwrap());
            self.blocked_until = self.blocked_until.max(Some(arrives.plus(wait)));
            return Err(wait);
        }
        self.admitted.push(arrives);
        of_user.push(arrives);
        Ok(())
    }
}

/// When there is room again, if there is none.
fn room(admitted: &mut Vec<Timestamp>, limit: usize, now: Timestamp) -> Option<Timestamp> {
    admitted.retain(|request| now.since(*request) < WINDOW);
    (admitted.len() >= limit).then(|| admitted.iter().min().unwrap().plus(WINDOW))
}
