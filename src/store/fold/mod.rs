//! What a batch comes to, computed in memory from the rows it touches.
//!
//! Pure: an engine loads the rows, calls these, and writes what they answer, all in one transaction.
//! So the rules of convergence are written once, whichever engine.

use std::collections::HashMap;

use crate::model::changes::{Decision, Planned};
use crate::model::event::EventKey;
use crate::model::state::EventState;

pub(super) mod failures;
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
}

impl<'a> Grouped<'a> {
    /// Whether an earlier delivery has settled this event, so that this one has no effect. What waits
    /// is recorded, and a failure of another delivery must not keep it from being released.
    pub(super) fn is_duplicate(&self) -> bool {
        self.head.is_some_and(|head| {
            let failed = !matches!(self.planned.decision, Decision::Apply(_));
            head.state.is_settled() || (failed && head.state == EventState::Waiting)
        })
    }

    /// The number of the attempt that this batch makes.
    pub(super) fn attempt(&self) -> u32 {
        self.head.map_or(0, |head| head.attempts) + 1
    }

    /// What is to be done, unless it was done.
    pub(super) fn decision(&self) -> Option<&'a Decision> {
        (!self.is_duplicate()).then_some(&self.planned.decision)
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
            });
            groups.len() - 1
        });
        groups[place].deliveries += 1;
    }
    groups
}
