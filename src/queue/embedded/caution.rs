//! Messages that may be what kills the process: which of them is next, and what becomes of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::handout::Handout;
use super::opening::Opening;
use super::publisher::EmbeddedPublisher;
use crate::model::event::Event;
use crate::queue::{ConsumeError, Delivery};

/// From so many unclean ends in a row on, one of the messages is suspected of them. A single one is
/// more likely the machine's.
const UNCLEAN_ENDS: u32 = 2;
/// How often a suspect is handed out at most; RabbitMQ's queue has the same limit. Only a hand-out
/// that was neither acknowledged nor given back counts, so an outage costs nobody anything, and a
/// process that is killed for other reasons would have to hold the same message each time.
pub(super) const DELIVERY_LIMIT: u32 = 20;

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

/// A suspect that nobody else has, and beside which there is no other. Unless it is acknowledged, it
/// goes back to the suspects in the end.
#[derive(Debug)]
pub(super) struct Trial {
    seq: i64,
    /// How often it was handed out before.
    deliveries: u32,
    /// Whether this time is counted.
    charged: bool,
    end: End,
    handout: Arc<Handout>,
    publisher: EmbeddedPublisher,
}

#[derive(Debug)]
enum End {
    /// Nobody was harmed: it was given back, or never handed out.
    Unharmed,
    /// Whoever had it dropped it, as a consumer does that panics.
    Dropped,
    /// It is no longer in the queue.
    Gone,
}

impl Trial {
    /// Begins the trial of a suspect that was looked up. The caller holds the cursor, so that there is
    /// one at a time.
    pub(super) fn begin(
        suspects: &mut Suspects,
        seq: i64,
        deliveries: u32,
        handout: Arc<Handout>,
        publisher: EmbeddedPublisher,
    ) -> Self {
        suspects.on_trial = true;
        suspects.was_last = true;
        Self {
            seq,
            deliveries,
            charged: false,
            end: End::Unharmed,
            handout,
            publisher,
        }
    }

    /// Commits that it is handed out once more; or that it is given up on, as it was too often: `None`
    /// then.
    pub(super) async fn charge(
        mut self,
        event: &Event,
    ) -> Result<Option<SuspectDelivery>, ConsumeError> {
        if self.deliveries >= DELIVERY_LIMIT {
            self.publisher.bury(vec![(self.seq, None)]).await?;
            self.end = End::Gone;
            tracing::error!(
                event.source = %event.key.source, event.id = %event.key.id,
                "gave up on {}: it was handed out {DELIVERY_LIMIT} times, and each time the process \
                 did not survive it",
                event.key
            );
            return Ok(None);
        }
        // Counted from the order on: whoever stops waiting for the answer does not know it.
        self.charged = true;
        self.publisher.charge(self.seq, self.deliveries + 1).await?;
        self.end = End::Dropped;
        Ok(Some(SuspectDelivery(self)))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let before = self.deliveries;
        let deliveries = match self.end {
            End::Unharmed if !self.charged => Some(before),
            End::Unharmed if self.publisher.forgive(self.seq, before) => Some(before),
            End::Unharmed => Some(before + 1),
            End::Dropped => {
                self.handout.abandoned.store(true, Ordering::Relaxed);
                Some(before + 1)
            }
            End::Gone => None,
        };
        if let Some(suspects) = self.handout.suspects().as_mut() {
            suspects.on_trial = false;
            suspects
                .seen
                .extend(deliveries.map(|deliveries| (deliveries, self.seq)));
        }
        self.handout.bells.arrivals.notify_waiters();
    }
}

/// The right to settle a suspect.
#[derive(Debug)]
pub(super) struct SuspectDelivery(Trial);

#[async_trait]
impl Delivery for SuspectDelivery {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        // Whoever comes so far has survived it.
        self.0.end = End::Unharmed;
        let seqs = vec![self.0.seq];
        self.0.publisher.remove(seqs).await?;
        self.0.end = End::Gone;
        Ok(())
    }

    fn give_back(mut self: Box<Self>) {
        self.0.end = End::Unharmed;
    }
}
