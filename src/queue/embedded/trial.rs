//! A suspect in somebody's hands, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::handout::Handout;
use super::publisher::EmbeddedPublisher;
use crate::model::event::Event;
use crate::queue::{ConsumeError, Delivery};

/// How often a suspect is handed out at most; RabbitMQ's queue has the same limit. Only a hand-out
/// that was neither acknowledged nor given back counts, so an outage costs nobody anything, and a
/// process that is killed for other reasons would have to hold the same message each time.
pub(super) const DELIVERY_LIMIT: u32 = 20;

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
    /// Begins the trial of the next suspect, if one may be tried now.
    pub(super) async fn begin(
        handout: &Arc<Handout>,
        publisher: &EmbeddedPublisher,
    ) -> Result<Option<(Self, Event)>, sqlx::Error> {
        // Without another point of waiting: whoever gives up on this future has begun no trial.
        let next = handout.suspect().await?;
        Ok(next.map(|(seq, deliveries, event)| {
            let trial = Self {
                seq,
                deliveries,
                charged: false,
                end: End::Unharmed,
                handout: Arc::clone(handout),
                publisher: publisher.clone(),
            };
            (trial, event)
        }))
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
            suspects.trial_ended(deliveries.map(|deliveries| (deliveries, self.seq)));
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
