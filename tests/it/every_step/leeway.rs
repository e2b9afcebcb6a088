//! THE table of what a failure may leave behind. Whatever is not in it must be as if nothing had failed.

/// How something may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// In any way.
    Anything,
    /// A number may be greater, that of a replay as well.
    AtLeast,
    /// A time may be another by as much as a failure may cost.
    Shift,
    /// Rows may be added.
    HaveMoreRows(More),
}

/// What a single failure may add to a table: so many rows, each of which tells the same as one that must
/// be there, or the same but for these columns, which then begin like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct More {
    pub(super) most: usize,
    pub(super) but: &'static [(&'static str, &'static str)],
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leeway {
    /// Where; `None`: everywhere.
    pub(super) scenario: Option<&'static str>,
    /// A table, or a column of it.
    pub(super) what: &'static str,
    pub(super) may: May,
    pub(super) because: &'static str,
}

impl Leeway {
    pub(super) fn is_for(&self, scenario: &str) -> bool {
        self.scenario.is_none_or(|only| only == scenario)
    }
}

const fn everywhere(what: &'static str, may: May, because: &'static str) -> Leeway {
    Leeway {
        scenario: None,
        what,
        may,
        because,
    }
}

const fn only(
    scenario: &'static str,
    what: &'static str,
    may: May,
    because: &'static str,
) -> Leeway {
    Leeway {
        scenario: Some(scenario),
        what,
        may,
        because,
    }
}

const BATCH: &str = "a_batch_of_all_sorts";
const DEAD: &str = "a_dead_letter_is_recorded";
const UNKNOWN: &str = "an_unknown_source_is_known_later";
const WAITING: &str = "a_payment_waits_for_its_user";
const RETRIED: &str = "events_are_retried_and_discarded";
const REFUSED: &str = "metadata_is_delivered_or_not";
const KEY: &str = "a_key_is_refused_for_a_while";

/// Nobody can tell the delivery after a lost acknowledgement from one that the provider repeats.
const AGAIN: &str =
    "what has not ended well is processed again by each delivery, and that is counted";
const ONCE: &str = "Clerk throttles once, and whoever meets that waits, with all who come after";
const WHO: &str = "it is chance for whom a refused key is tried";
const DRAWN: &str = "a number that Postgres drew for what was undone is not drawn again";
const LATER: &str = "when something was written is when it worked";

/// A call that failed.
const UNANSWERED: More = More {
    most: 1,
    but: &[
        ("outcome", "retry"),
        ("error", "Clerk's API did not answer: "),
    ],
};
/// A deed that had been done.
const NOTHING_LEFT: More = More {
    most: 1,
    but: &[("matched", "0"), ("changed", "0")],
};
/// An event that is delivered again, and two that come together.
const ONE_AGAIN: More = More { most: 1, but: &[] };
const TWO_AGAIN: More = More { most: 2, but: &[] };

pub(super) const LEEWAY: &[Leeway] = &[
    everywhere(
        "operator_actions",
        May::HaveMoreRows(NOTHING_LEFT),
        "who repeats a deed because its answer was lost is recorded twice",
    ),
    everywhere(
        "events.deliveries",
        May::AtLeast,
        "what was committed and not acknowledged is delivered once more, and counted",
    ),
    everywhere(
        "outbox.traceparent",
        May::Anything,
        "spans are numbered as they begin, and one more began",
    ),
    everywhere("operator_actions.at", May::Shift, LATER),
    everywhere("operator_actions.id", May::AtLeast, DRAWN),
    everywhere("replays.id", May::AtLeast, DRAWN),
    everywhere("replay_events.replay_id", May::AtLeast, DRAWN),
    everywhere("event_attempts.trigger", May::AtLeast, DRAWN),
    everywhere("events.applied_at", May::Shift, LATER),
    everywhere("events.next_attempt_at", May::Shift, LATER),
    everywhere("event_attempts.at", May::Shift, LATER),
    everywhere("users.synced_at", May::Shift, LATER),
    everywhere("entitlements.updated_at", May::Shift, LATER),
    everywhere("outbox.updated_at", May::Shift, LATER),
    everywhere("outbox.desired_at", May::Shift, LATER),
    everywhere("outbox.next_attempt_at", May::Shift, LATER),
    everywhere(
        "outbox.lease",
        May::AtLeast,
        "an attempt that came to nothing had a lease as well",
    ),
    everywhere("outbox_attempts.at", May::Shift, LATER),
    everywhere(
        "outbox_attempts",
        May::HaveMoreRows(UNANSWERED),
        "a call that Clerk did not answer, or whose answer was lost, is made again",
    ),
    everywhere("failures.last_seen", May::Shift, LATER),
    everywhere("replays.created_at", May::Shift, LATER),
    everywhere("replays.paced_until", May::Shift, LATER),
    everywhere("replays.finished_at", May::Shift, LATER),
    everywhere("replay_events.settled_at", May::Shift, LATER),
    only(BATCH, "events.attempts", May::AtLeast, AGAIN),
    only(BATCH, "event_attempts", May::HaveMoreRows(ONE_AGAIN), AGAIN),
    only(BATCH, "failures.occurrences", May::AtLeast, AGAIN),
    only(DEAD, "events.attempts", May::AtLeast, AGAIN),
    only(DEAD, "event_attempts", May::HaveMoreRows(ONE_AGAIN), AGAIN),
    only(DEAD, "failures.occurrences", May::AtLeast, AGAIN),
    only(UNKNOWN, "events.attempts", May::AtLeast, AGAIN),
    only(
        UNKNOWN,
        "event_attempts",
        May::HaveMoreRows(TWO_AGAIN),
        AGAIN,
    ),
    only(UNKNOWN, "failures.occurrences", May::AtLeast, AGAIN),
    only(WAITING, "events.attempts", May::AtLeast, AGAIN),
    only(
        WAITING,
        "event_attempts",
        May::HaveMoreRows(ONE_AGAIN),
        AGAIN,
    ),
    only(RETRIED, "events.attempts", May::AtLeast, AGAIN),
    only(
        RETRIED,
        "event_attempts",
        May::HaveMoreRows(ONE_AGAIN),
        AGAIN,
    ),
    only(REFUSED, "outbox.lease", May::Anything, ONCE),
    only(REFUSED, "outbox_attempts", May::Anything, ONCE),
    only(
        REFUSED,
        "outbox.failures",
        May::AtLeast,
        "what Clerk refuses in the end has failed before if it did not answer",
    ),
    only(KEY, "outbox.lease", May::Anything, WHO),
    only(KEY, "outbox_attempts", May::Anything, WHO),
];
