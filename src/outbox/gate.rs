//! Whether anything may be sent to Clerk now, and how much: the budgets, the pauses that Clerk asks
//! for, and whether it accepts the key. Pure: time and answers are arguments.
//!
//! A gate that closes does so for everyone who has passed it and not sent yet as well: each closing
//! begins a new *term*, and who passed in an older one sends nothing.

use std::time::Duration;

use super::budget::{InstanceBudget, UserBudgets, WriteLimits};
use crate::backoff::Backoff;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// The least pause when Clerk throttles. `Retry-After: 0` must not make us spin.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that Clerk can ask for. Its limits are per ten seconds; a proxy or a wrong
/// clock on the other side must not silence us for days.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long to send nothing when Clerk throttles without saying how long.
const THROTTLED: Duration = Duration::from_secs(10);
/// The longest wait for the next try of a refused key. Someone has just put it right and looks on.
const LONGEST_PROBE: Duration = Duration::from_secs(60);

/// When it was that someone passed the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term(u64);

#[derive(Debug)]
pub(super) struct Gate {
    instance: InstanceBudget,
    users: UserBudgets,
    backoff: Backoff,
    paused_until: Option<Timestamp>,
    refused: Option<Refused>,
    term: Term,
}

/// The key is not accepted. One entry at a time is tried.
#[derive(Debug)]
struct Refused {
    since: Timestamp,
    tries: u32,
    next_try: Timestamp,
}

impl Gate {
    pub(super) fn new(limits: WriteLimits, backoff: Backoff) -> Self {
        Self {
            instance: InstanceBudget::new(limits.per_instance),
            users: UserBudgets::new(limits.per_user),
            backoff,
            paused_until: None,
            refused: None,
            term: Term(0),
        }
    }

    /// How many entries may be leased now, and the term they are leased in.
    pub(super) fn open_for(&mut self, now: Timestamp) -> (u32, Term) {
        self.notice(now);
        let writes = match &self.refused {
            _ if self.pause(now).is_some() => 0,
            Some(_) => 1,
            None => self.instance.available(now),
        };
        (writes, self.term)
    }

    /// No wait is longer than it may be: one that seems to be is from before the clock was set back.
    fn notice(&mut self, now: Timestamp) {
        self.instance.notice(now);
        let latest = now.plus(LONGEST_PAUSE);
        self.paused_until = self.paused_until.map(|until| until.min(latest));
        if let Some(key) = &mut self.refused {
            key.next_try = key.next_try.min(now.plus(LONGEST_PROBE));
        }
    }

    /// How long nothing can be sent to anyone, if so.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        let throttled = self.paused_until.map(|until| until.since(now));
        let refused = self.refused.as_ref().map(|key| key.next_try.since(now));
        let pause = throttled.max(refused).unwrap_or_default();
        let pause = pause.max(self.instance.wait(now));
        (!pause.is_zero()).then_some(pause)
    }

    /// Takes one write to this user out of the user's own budget.
    ///
    /// # Errors
    ///
    /// With the time at which there will be one, if there is none now.
    pub(super) fn admit(&mut self, user: &UserId, now: Timestamp) -> Result<(), Timestamp> {
        self.users.take(user, now)
    }

    /// Takes so many writes out of the instance's budget.
    pub(super) fn sending(&mut self, writes: usize, now: Timestamp) {
        self.instance.take(writes, now);
        if let Some(key) = &mut self.refused
            && writes > 0
        {
            // Should it never report back.
            key.next_try = now.plus(LONGEST_PROBE);
        }
    }

    /// Whether who passed in this term may still send.
    pub(super) fn holds(&self, term: Term) -> bool {
        self.term == term
    }

    /// Clerk throttles. Answers until when nothing is sent, and whether that is news.
    pub(super) fn throttled(
        &mut self,
        asked: Option<Duration>,
        now: Timestamp,
    ) -> (Timestamp, bool) {
        let pause = asked.map_or(THROTTLED, |asked| {
            asked.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
        });
        let is_news = self.paused_until.is_none_or(|until| until <= now);
        let until = self.paused_until.max(Some(now.plus(pause)));
        self.paused_until = until;
        self.close();
        (until.unwrap_or(now), is_news)
    }

    /// Clerk does not accept the key. Answers when it is tried again, and whether that is news.
    pub(super) fn key_refused(&mut self, term: Term, now: Timestamp) -> (Timestamp, bool) {
        let is_try = self.holds(term);
        let is_news = self.refused.is_none();
        let backoff = Backoff {
            // Jitter can double it.
            longest: self.backoff.longest.min(LONGEST_PROBE / 2),
            ..self.backoff
        };
        let key = self.refused.get_or_insert(Refused {
            since: now,
            tries: 0,
            next_try: now,
        });
        // What was on its way when the first refusal came says nothing new.
        if is_try {
            key.next_try = now.plus(backoff.delay(key.tries));
            key.tries = key.tries.saturating_add(1);
        }
        let next_try = key.next_try;
        self.close();
        (next_try, is_news)
    }

    /// Clerk confirmed a write. Answers since when the key had been refused, if that ends with it.
    pub(super) fn confirmed(&mut self, term: Term) -> Option<Timestamp> {
        // A write that was on its way when the key was refused proves nothing.
        if !self.holds(term) {
            return None;
        }
        self.refused.take().map(|key| key.since)
    }

    /// Clerk answered, or did not, in a way that says nothing about the key: it is tried again soon.
    pub(super) fn undecided(&mut self, term: Term, now: Timestamp) {
        if self.holds(term)
            && let Some(key) = &mut self.refused
        {
            key.next_try = now.plus(self.backoff.first);
        }
    }

    fn close(&mut self) {
        self.term = Term(self.term.0.wrapping_add(1));
    }
}
