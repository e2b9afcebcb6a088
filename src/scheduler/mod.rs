//! From the ledger back onto the queue: events whose next attempt is due.
//!
//! Actors: the [`Store`] knows what is due and leases it, the [`Scheduler`] publishes it with the
//! [`Publisher`] that ingress uses, and reports what the queue has confirmed.
//!
//! Guaranteed: an event goes back when it is due, not earlier, and only one of any number of
//! schedulers puts it there. It counts as queued only after the queue has confirmed it; what was not
//! confirmed falls due again when its lease runs out. While the queue or the database is away nobody
//! is charged an attempt. What a pause has put aside is taken up when its source is resumed, the
//! oldest first and at a steady pace. NOT guaranteed: that it is published only once. A crash between the confirm
//! and its record publishes it again, which is harmless, as applying it twice changes nothing.
//!
//! Beside it the [`Replayer`] puts the events of replays there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, Outage};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::retry::RetryLease;
use crate::model::time::Timestamp;
use crate::queue::{PublishError, Publisher};
use crate::store::{Store, StoreError};

mod replays;

pub use self::replays::{Replayer, Step};

/// How many events one round leases. All of them wait for their confirm at once.
const ROUND: u32 = 64;
/// How long a lease lasts. Shorter than any wait before a third attempt: the end of a lease is never
/// the time of an attempt that was planned while it lasted.
const LEASE: Duration = Duration::from_secs(30);
/// How long the queue may take to confirm. Much shorter than the lease, so that what was confirmed is
/// reported under it.
const CONFIRM: Duration = Duration::from_secs(5);
/// How long an idle scheduler sleeps at most: a worker elsewhere may have planned an attempt.
const IDLE: Duration = Duration::from_secs(1);
/// How long it sleeps at least. What is due may be held by another scheduler's transaction.
const SHORTEST: Duration = Duration::from_millis(10);

/// How often what was put aside is taken up, a round at a time: 256 events in a second for each
/// scheduler, less than one worker can do, so that new events do not wait behind all of them.
const PACE: Duration = Duration::from_millis(250);

/// Puts events that are due back onto the queue.
#[derive(Debug)]
pub struct Scheduler {
    /// Who knows what is due.
    pub store: Arc<dyn Store>,
    /// Where it goes.
    pub publisher: Arc<dyn Publisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long to wait while an engine is away.
    pub backoff: Backoff,
}

/// What one round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Events that are back on the queue, and recorded as such.
    pub queued: usize,
}

/// Why a round was not finished. What it leased and did not report falls due again.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The database is away.
    #[error("the scheduler cannot use the database")]
    Store(#[source] StoreError),
    /// The queue is away.
    #[error("the scheduler cannot use the queue")]
    Queue(#[source] PublishError),
    /// The queue is there and says nothing.
    #[error("the queue confirmed nothing within {} seconds", CONFIRM.as_secs())]
    Unconfirmed,
}

impl Scheduler {
    /// Works until `stop`, finishing the round in hand.
    pub async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::new(self.backoff);
        let mut release_at = Instant::now();
        while !stop.is_cancelled() {
            let mut more = Ok(false);
            if Instant::now() >= release_at {
                release_at = Instant::now() + PACE;
                more = self.release().await;
            }
            // Whatever became of that, what is due has its turn.
            let round = self.round().await;
            let pause = match more.and_then(|more| Ok((more, round?))) {
                Ok((more, round)) => {
                    if outage.end() {
                        tracing::info!("events that are due go back onto the queue again");
                    }
                    if round.queued > 0 {
                        continue;
                    }
                    let longest = if more { PACE } else { IDLE };
                    self.until_next_due().await.min(longest)
                }
                Err(error) => {
                    let wait = outage.failed();
                    if outage.has_just_begun() {
                        tracing::error!(
                            error = %ErrorChain(&error),
                            "events that are due have to wait; they stay in the ledger"
                        );
                    }
                    wait
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Takes up some of what was put aside while its source was paused: it is due at once. Answers
    /// whether there may be more.
    ///
    /// # Errors
    ///
    /// When the database is away.
    pub async fn release(&self) -> Result<bool, SchedulerError> {
        let released = self.store.release_parked(ROUND, self.clock.now()).await;
        let released = released.map_err(SchedulerError::Store)?;
        if released > 0 {
            tracing::info!(
                events = released,
                "events of a source that was resumed are taken up again"
            );
        }
        Ok(released >= u64::from(ROUND))
    }

    /// Leases what is due, publishes it, and reports what was confirmed.
    ///
    /// # Errors
    ///
    /// When the database or the queue is away. What was confirmed nevertheless is reported.
    pub async fn round(&self) -> Result<Round, SchedulerError> {
        let now = self.clock.now();
        let leases = self
            .store
            .lease_retries(ROUND, now, now.plus(LEASE))
            .await
            .map_err(SchedulerError::Store)?;
        let published = join_all(leases.into_iter().map(|lease| self.publish(lease))).await;
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
                .retries_queued(&confirmed)
                .await
                .map_err(SchedulerError::Store)?;
        }
        for lease in &confirmed {
            let key = &lease.event.key;
            tracing::info!(
                event.source = %key.source, event.id = %key.id,
                event.r#type = %lease.event.event_type,
                "{key} is back on the queue for another attempt"
            );
        }
        failure.map(|()| Round {
            queued: confirmed.len(),
        })
    }

    async fn publish(&self, lease: RetryLease) -> Result<RetryLease, SchedulerError> {
        let publishing = self.publisher.publish(lease.event.clone());
        match tokio::time::timeout(CONFIRM, publishing).await {
            Ok(Ok(_confirmed)) => Ok(lease),
            Ok(Err(error)) => Err(SchedulerError::Queue(error)),
            Err(_) => Err(SchedulerError::Unconfirmed),
        }
    }

    async fn until_next_due(&self) -> Duration {
        // A database that is away says so in the next round.
        let due: Option<Timestamp> = self.store.next_retry_due().await.unwrap_or_default();
        due.map_or(IDLE, |due| due.since(self.clock.now()))
            .clamp(SHORTEST, IDLE)
    }
}
