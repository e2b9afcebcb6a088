//! What a batch comes to, computed in memory from the rows it touches.
//!
//! Pure: an engine loads the rows, calls these, and writes what they answer, all in one transaction.
//! So the rules of convergence are written once, whichever engine.

use std::collections::{BTreeSet, HashMap};

use crate::model::changes::{Changes, Decision, Failure, Planned};
use crate::model::event::{EventKey, Trigger};
use crate::model::replay::ReplayId;
use crate::model::source::SourceName;
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

/// An event of a replay that is to be processed, and is ours until the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenReplay {
    pub(super) replay: ReplayId,
    pub(super) position: i64,
}

/// What is open for the events of a batch, of the replays that its entries name.
pub(super) type OpenReplays = HashMap<EventKey, Vec<OpenReplay>>;

/// What an entry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Nothing any more: its replay has settled the event, was cancelled, or is not known.
    Closed,
    /// To be processed, unless it was.
    Live,
    /// To be processed, whatever became of it.
    Replayed(OpenReplay),
    /// The same, to see what comes of it.
    Previewed,
}

impl Claim {
    fn of(planned: &Planned, open: &OpenReplays) -> Self {
        let Trigger::Replay(replay) = planned.event.trigger else {
            return Self::Live;
        };
        let open = open.get(&planned.event.key).into_iter().flatten();
        let mut named = open.filter(|open| open.replay == replay);
        named
            .next()
            .map_or(Self::Closed, |open| Self::Replayed(*open))
    }

    fn rank(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Live => 1,
            Self::Replayed(_) | Self::Previewed => 2,
        }
    }
}

/// The entries of a batch for one event.
#[derive(Debug)]
pub(super) struct Grouped<'a> {
    /// The first of those that ask for most.
    pub(super) planned: &'a Planned,
    claim: Claim,
    /// Deliveries of this event in this batch.
    pub(super) deliveries: u32,
    /// What the ledger knew before.
    pub(super) head: Option<LedgerHead>,
    /// What of replays it is processed for.
    replays: Vec<OpenReplay>,
    /// Whether somebody else than a replay asks for it.
    is_live: bool,
    /// Whether nothing is to be done for it now, as its source is paused.
    is_paused: bool,
}

impl<'a> Grouped<'a> {
    /// Whether an earlier delivery has settled this event, so that this one has no effect. What waits
    /// is recorded, and neither a failure of another delivery nor a pause must keep it from being
    /// released.
    pub(super) fn is_duplicate(&self) -> bool {
        let failed = !matches!(self.planned.decision, Decision::Apply(_));
        let adds_nothing = failed || self.is_paused;
        match (self.claim, self.head) {
            // The ledger has lost it: nothing that was accepted may vanish.
            (_, None) => false,
            (Claim::Closed, Some(_)) => true,
            (Claim::Replayed(_) | Claim::Previewed, Some(_)) if !self.is_paused => false,
            // Its replay takes it up again, and needs nothing in the ledger for that.
            (Claim::Replayed(_), Some(_)) if !self.is_live => true,
            (Claim::Live | Claim::Replayed(_) | Claim::Previewed, Some(head)) => {
                head.state.is_settled() || (adds_nothing && head.state == EventState::Waiting)
            }
        }
    }

    /// Whether it is processed for a replay, so that no earlier delivery stands in the way.
    pub(super) fn is_replayed(&self) -> bool {
        !self.is_paused && matches!(self.claim, Claim::Replayed(_) | Claim::Previewed)
    }

    /// What of replays is settled by processing it once.
    pub(super) fn settled(&self) -> &[OpenReplay] {
        if self.is_paused { &[] } else { &self.replays }
    }

    /// What of replays has to wait until its source is resumed.
    pub(super) fn put_back(&self) -> &[OpenReplay] {
        if self.is_paused { &self.replays } else { &[] }
    }

    /// The state of the event after processing that alone would lead to `processed`.
    pub(super) fn state_after(&self, processed: EventState) -> EventState {
        match self.head {
            Some(head) if self.is_replayed() => head.state.after_replay(processed),
            _ => processed,
        }
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

    fn add(&mut self, planned: &'a Planned, claim: Claim) {
        self.deliveries += 1;
        self.is_live |= claim == Claim::Live;
        if claim.rank() > self.claim.rank() {
            (self.planned, self.claim) = (planned, claim);
        }
        if let Claim::Replayed(open) = claim
            && !self.replays.contains(&open)
        {
            self.replays.push(open);
        }
    }
}

/// Merges the deliveries of one event within a batch: one statement must not touch a row twice, and
/// the second delivery would find the first one's effect anyway. Order of first appearance.
pub(super) fn group<'a>(
    batch: &'a [Planned],
    heads: &HashMap<EventKey, LedgerHead>,
    open: &OpenReplays,
) -> Vec<Grouped<'a>> {
    let mut places: HashMap<&EventKey, usize> = HashMap::with_capacity(batch.len());
    let mut groups: Vec<Grouped<'a>> = Vec::with_capacity(batch.len());
    for planned in batch {
        let key = &planned.event.key;
        let claim = Claim::of(planned, open);
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Grouped {
                planned,
                claim,
                deliveries: 0,
                head: heads.get(key).copied(),
                replays: Vec::new(),
                is_live: false,
                is_paused: false,
            });
            groups.len() - 1
        });
        groups[place].add(planned, claim);
    }
    groups
}

/// Has all of it processed, as a replay would.
pub(super) fn preview(groups: &mut [Grouped<'_>]) {
    for grouped in groups {
        grouped.claim = Claim::Previewed;
    }
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
