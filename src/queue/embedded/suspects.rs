//! Messages that may be what kills the process: which of them is next.

use std::collections::BTreeSet;

use super::opening::Opening;

/// From so many unclean ends in a row on, one of the messages is suspected of them. A single one is
/// more likely the machine's.
const UNCLEAN_ENDS: u32 = 2;
/// The messages that were there when the queue was opened in caution.
#[derive(Debug)]
pub(super) struct Suspects {
    /// Those that were never counted come one after another, up to a place.
    unseen: Option<Unseen>,
    /// The others, those with the fewest deliveries first: whatever kills comes after all that does
    /// not.
    seen: BTreeSet<(u32, i64)>,
    on_trial: bool,
    /// Whether the last batch was of suspects: then it is the turn of what is not.
    was_last: bool,
}

/// Where the next message is that was never counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unseen {
    pub(super) after: i64,
    pub(super) up_to: i64,
}

/// A suspect to look up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Candidate {
    Unseen(Unseen),
    Seen { deliveries: u32, seq: i64 },
}

impl Suspects {
    /// All messages that are there; `None` if there is no reason for suspicion.
    pub(super) fn of(opening: Opening) -> Option<Self> {
        if opening.unclean_ends < UNCLEAN_ENDS || opening.last_seq == 0 {
            return None;
        }
        tracing::warn!(
            queue.unclean_ends = opening.unclean_ends,
            "the process did not end in order {} times in a row: what was in the queue is handed out \
             one message at a time, until it is clear that none of them is the cause",
            opening.unclean_ends
        );
        Some(Self {
            unseen: Some(Unseen {
                after: 0,
                up_to: opening.last_seq,
            }),
            seen: opening.counted.into_iter().collect(),
            on_trial: false,
            was_last: false,
        })
    }

    /// The next to be tried; `None` while another one is, and once all were.
    pub(super) fn next(&self) -> Option<Candidate> {
        if self.on_trial {
            return None;
        }
        let first = self.seen.first();
        match (self.unseen, first) {
            (_, Some(&(deliveries @ 0, seq))) => Some(Candidate::Seen { deliveries, seq }),
            (Some(unseen), _) => Some(Candidate::Unseen(unseen)),
            (None, Some(&(deliveries, seq))) => Some(Candidate::Seen { deliveries, seq }),
            (None, None) => None,
        }
    }

    /// The candidate was found here, or is no longer there: it is not looked up again.
    pub(super) fn looked_up(&mut self, candidate: Candidate, found: Option<i64>) {
        match (candidate, found) {
            (Candidate::Seen { deliveries, seq }, _) => {
                self.seen.remove(&(deliveries, seq));
            }
            (Candidate::Unseen(unseen), Some(after)) => {
                self.unseen = Some(Unseen { after, ..unseen });
            }
            (Candidate::Unseen(_), None) => self.unseen = None,
        }
    }

    /// One is being tried, and no other meanwhile.
    pub(super) fn trial_begins(&mut self) {
        self.on_trial = true;
        self.was_last = true;
    }

    /// It has been tried: if it is still there, it is a suspect as before.
    pub(super) fn trial_ended(&mut self, left: Option<(u32, i64)>) {
        self.on_trial = false;
        self.seen.extend(left);
    }

    pub(super) fn is_over(&self) -> bool {
        self.unseen.is_none() && self.seen.is_empty() && !self.on_trial
    }

    pub(super) fn was_last(&self) -> bool {
        self.was_last
    }

    pub(super) fn set_last(&mut self, suspect: bool) {
        self.was_last = suspect;
    }
}
