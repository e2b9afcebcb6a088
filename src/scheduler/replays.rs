//! From a replay onto the queue, at its pace.
//!
//! Actors: the [`Store`] leases what the pace of each running replay allows, the [`Replayer`] publishes it
//! with the trigger of its replay and reports what the queue has confirmed. The worker that processes an
//! event settles it in the replay.
//!
//! Guaranteed: whatever number of processes do this, a replay goes no faster than its rate; one that was
//! interrupted anywhere goes on. NOT guaranteed: that an event is published only once. Another message
//! for it has no effect. Nor is the rate reached where most events are about the same subject: they go one
//! after the other, and each takes its way through the queue.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{CONFIRM, SchedulerError};
use crate::backoff::{Backoff, Outage};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::replay::ReplayLease;
use crate::queue::Publisher;
use crate::store::Store;

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(30);
/// How long it sleeps while no replay runs.
const IDLE: Duration = Duration::from_secs(1);
/// How long it sleeps while one does: often enough that the pace is even and that what was waited for
/// goes on soon, and not so often that its commits are in the way of live events.
const STEP: Duration = Duration::from_millis(100);

/// Puts the events of running replays onto the queue.
#[derive(Debug)]
pub struct Replayer {
    /// Who knows what is to be replayed.
    pub store: Arc<dyn Store>,
    /// Where it goes.
    pub publisher: Arc<dyn Publisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long to wait while an engine is away.
    pub backoff: Backoff,
}

/// What one step came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Events that are on the queue, and recorded as such.
    pub queued: usize,
    /// Whether a replay runs.
    pub running: bool,
}

impl Replayer {
    /// Works until `stop`, finishing the step in hand.
    pub async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::new(self.backoff);
        while !stop.is_cancelled() {
            let pause = match self.step().await {
                Ok(step) => {
                    if outage.end() {
                        tracing::info!("replays go on");
                    }
                    if step.running { STEP } else { IDLE }
                }
                Err(error) => {
                    let wait = outage.failed();
                    if outage.has_just_begun() {
                        tracing::error!(
                            error = %ErrorChain(&error),
                            "replays have to wait; none of their events is lost"
                        );
                    }
                    wait
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Leases what the pace allows, publishes it, and reports what was confirmed.
    ///
    /// # Errors
    ///
    /// When the database or the queue is away. What was confirmed nevertheless is reported.
    pub async fn step(&self) -> Result<Step, SchedulerError> {
        let now = self.clock.now();
        let round = self
            .store
            .lease_replays(now, now.plus(LEASE))
            .await
            .map_err(SchedulerError::Store)?;
        let published = join_all(round.leases.into_iter().map(|lease| self.publish(lease))).await;
        let mut confirmed = Vec::with_capacity(published.len());
        let mut failure = Ok(());
        for result in published {
            match result {
                Ok(lease) => confirmed.push(lease),
                Err(error) => failure = Err(error),
            }
        }
        if !confirmed.is_empty() {
            self.store
                .replays_queued(&confirmed, self.clock.now())
                .await
                .map_err(SchedulerError::Store)?;
        }
        for lease in &confirmed {
            let key = &lease.event.key;
            tracing::debug!(
                event.source = %key.source, event.id = %key.id,
                event.r#type = %lease.event.event_type, replay = %lease.replay,
                "{key} is on the queue for replay {}", lease.replay
            );
        }
        failure.map(|()| Step {
            queued: confirmed.len(),
            running: round.running,
        })
    }

    async fn publish(&self, lease: ReplayLease) -> Result<ReplayLease, SchedulerError> {
        let publishing = self.publisher.publish(lease.event.clone());
        match tokio::time::timeout(CONFIRM, publishing).await {
            Ok(Ok(_confirmed)) => Ok(lease),
            Ok(Err(error)) => Err(SchedulerError::Queue(error)),
            Err(_) => Err(SchedulerError::Unconfirmed),
        }
    }
}
