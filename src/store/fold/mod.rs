//! What a batch comes to, computed in memory from the rows it touches.
//!
//! Pure: an engine loads the rows, calls these, and writes what they answer, all in one transaction.
//! So the rules of convergence are written once, whichever engine.

use std::collections::{BTreeSet, HashMap};

use crate::model::changes::{Changes, Decision, Failure, Planned};
use crate::model::event::EventKey;
use crate::model::source::SourceName;
use crate::model::state::EventState;

pub(super) mod payments;
pub(super) mod users;

/// What the ledger knows of an event before the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct LedgerHead {
    pub(super) state: EventState,
    pub(super) attempts: u32,
}

/// The first entry of a batch for one event, with the later ones counted in.
#[derive(Debug)]
pub(super) struct Grouped<'a> {
    pub(super) planned: &'a Planned,
    /// Deliveries of this event in this batch.
    pub(super) deliveries: u32,
    /// What the ledger knew before.
    pub(super) head: Option<LedgerHead>,
    /// Whether nothing is to be done for it now, as its source is paused.
    is_paused: bool,
}

impl<'a> Grouped<'a> {
    /// Whether an earlier delivery has settled this event, so that this one has no effect. What waits
    /// is recorded, and neither a failure of another delivery nor a pause must keep it from being
    /// released.
    pub(super) fn is_duplicate(&self) -> bool {
        self.head.is_some_and(|head| {
            let failed = !matches!(self.planned.decision, Decision::Apply(_));
            let adds_nothing = failed || self.is_paused;
            head.state.is_settled() || (adds_nothing && head.state == EventState::Waiting)
        })
    }

    /// Whether it is only put aside.
    pub(super) fn is_parked(&self) -> bool {
        self.is_paused && !self.is_duplicate()
    }

    /// The number of the attempt that this batch makes; of the last one, if it makes none.
    pub(super) fn attempt(&self) -> u32 {
        let before = self.head.map_or(0, |head| head.attempts);
        before + u32::from(!self.is_parked())
    }

    /// What is to be done, unless it was done or has to wait.
    pub(super) fn decision(&self) -> Option<&'a Decision> {
        let is_to_do = !self.is_duplicate() && !self.is_parked();
        is_to_do.then_some(&self.planned.decision)
    }

    /// Why it cannot be done, if that is what this batch found out.
    pub(super) fn failure(&self) -> Option<&'a Failure> {
        match self.decision()? {
            Decision::Fail(failure) | Decision::Retry(failure) => Some(failure),
            Decision::Apply(_) => None,
        }
    }
}

/// Merges the deliveries of one event within a batch: one statement must not touch a row twice, and
/// the second delivery would find the first one's effect anyway. Order of first appearance.
pub(super) fn group<'a>(
    batch: &'a [Planned],
    heads: &HashMap<EventKey, LedgerHead>,
) -> Vec<Grouped<'a>> {
    let mut places: HashMap<&EventKey, usize> = HashMap::with_capacity(batch.len());
    let mut groups: Vec<Grouped<'a>> = Vec::with_capacity(batch.len());
    for planned in batch {
        let key = &planned.event.key;
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Grouped {
                planned,
                deliveries: 0,
                head: heads.get(key).copied(),
                is_paused: false,
            });
            groups.len() - 1
        });
        groups[place].deliveries += 1;
    }
    groups
}

/// Puts aside what comes from a paused source. Not what would be ignored anyway, what could not be
/// taken up again for want of its bytes, or what the queue has given up.
pub(super) fn pause(groups: &mut [Grouped<'_>], paused: &BTreeSet<SourceName>) {
    for grouped in groups {
        let planned = grouped.planned;
        let can_wait = match &planned.decision {
            Decision::Apply(Changes::Ignore(_)) => false,
            Decision::Apply(_) | Decision::Retry(_) => true,
            Decision::Fail(failure) => !failure.given_up,
        };
        grouped.is_paused =
            can_wait && planned.keep_payload && paused.contains(&planned.event.key.source);
    }
}
