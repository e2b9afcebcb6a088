//! From the queue to the database.
//!
//! Actors: a [`Consumer`] hands out what is ready, `verdict` says what each event means, the
//! [`Store`] commits the whole batch, and only then the batch is acknowledged. What the queue gave up
//! on is recorded by the [`DeadLetterDrain`].
//!
//! Guaranteed: an event leaves the queue only after its ledger row and its effect are committed
//! together. While the database is away no event is to blame: nothing more is taken, no attempt is
//! charged, and work resumes when the database answers. Any number of workers may run. A changed
//! setting takes effect on what users are entitled to ([`Reassessment`]).
//!
//! NOT guaranteed: that an event is processed only once; that doing it again changes nothing is the
//! store's promise. When an acknowledgement is lost, what had failed or waits comes again, and that
//! counts as one more attempt, as it does when the provider sends it again.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::away::{Committed, apply_in_the_end, queue_is_back, wait_empty_handed, wait_for_queue};
use crate::backoff::Outage;
use crate::clock::Clock;
use crate::metrics::WorkerMetrics;
use crate::model::changes::{Applied, Outcome, Planned};
use crate::model::source::Sources;
use crate::queue::{Batch, ConsumeError, Consumer};
use crate::store::{Store, StoreError};
use crate::traces::Traces;

mod account;
mod away;
mod dead_letters;
mod reassessment;
mod report;
mod spans;
mod verdict;

pub use self::away::Patience;
pub use self::dead_letters::DeadLetterDrain;
pub use self::reassessment::Reassessment;
pub use self::verdict::decide;

/// How many events one transaction takes at most.
pub const BATCH: usize = 200;

/// Takes events, applies them, acknowledges them.
#[derive(Debug)]
pub struct Worker {
    /// Where events come from.
    pub consumer: Box<dyn Consumer>,
    /// Where their effects go.
    pub store: Arc<dyn Store>,
    /// Which provider speaks through which source, and of what.
    pub sources: Sources,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rung after payments were recorded: the outbox may have something to send.
    pub outbox_bells: Vec<Arc<Notify>>,
    /// How long to wait for an engine that is away.
    pub patience: Patience,
    /// What is counted.
    pub metrics: WorkerMetrics,
    /// Where spans go.
    pub traces: Traces,
}

/// Why a batch was not finished. It is back in the queue, unless it is applied and only its
/// acknowledgement failed: then it may be.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The queue is away.
    #[error("the worker cannot use the queue")]
    Queue(#[source] ConsumeError),
    /// The database is away.
    #[error("the worker cannot use the database")]
    Store(#[source] StoreError),
}

impl Worker {
    /// Works until `stop`, finishing the batch in hand if the database lets it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new(self.patience.backoff);
        // It may have been the batch that was too much for the database: many events that must be told
        // from each other take it longer than a call may. A single one never is.
        let mut most = BATCH;
        while let Some(taken) = stop.run_until_cancelled(self.take_up_to(most)).await {
            let worked = match taken {
                Ok(batch) => self.process(batch, &stop).await.map(drop),
                Err(error) => Err(error),
            };
            match worked {
                Ok(()) => {
                    most = (2 * most).min(BATCH);
                    queue_is_back("work", &mut outage);
                }
                Err(WorkError::Queue(error)) => {
                    wait_for_queue("work", &error, &mut outage, &stop).await;
                }
                Err(WorkError::Store(_)) => {
                    most = 1;
                    wait_empty_handed(&*self.store, self.patience.backoff, &stop).await;
                }
            }
        }
    }

    /// Waits for the next batch. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read.
    pub async fn take(&mut self) -> Result<Batch, WorkError> {
        self.take_up_to(BATCH).await
    }

    async fn take_up_to(&mut self, most: usize) -> Result<Batch, WorkError> {
        self.consumer.take(most).await.map_err(WorkError::Queue)
    }

    /// Brings one batch to its end: decided, committed, acknowledged. Waits for a database that is
    /// away.
    ///
    /// # Errors
    ///
    /// When the acknowledgement failed, or the database was away for too long or when `stop` came. The batch will be
    /// handed out again.
    pub async fn process(
        &mut self,
        batch: Batch,
        stop: &CancellationToken,
    ) -> Result<Vec<Applied>, WorkError> {
        let Batch { events, delivery } = batch;
        let mut parents = Vec::with_capacity(events.len());
        let planned: Vec<Planned> = events
            .into_iter()
            .map(|mut event| {
                parents.push(event.trace);
                event.trace = Some(self.traces.begin(event.trace));
                event
            })
            .map(|event| decide(&self.sources, event))
            .collect();
        let applying =
            apply_in_the_end(&*self.store, &planned, &*self.clock, self.patience, stop).await;
        let committed = match applying {
            Ok(committed) => committed,
            Err(error) => {
                delivery.give_back();
                return Err(WorkError::Store(error));
            }
        };
        // Before the acknowledgement: should that fail, the events come back as mere duplicates.
        account::count(&self.metrics, &self.sources, &planned, &committed);
        report::report(&planned, &committed);
        spans::end(&self.traces, &planned, &parents, &committed);
        let Committed { applied, .. } = committed;
        self.ring(&applied);
        delivery.ack().await.map_err(WorkError::Queue)?;
        Ok(applied)
    }

    /// Payments that were recorded may have given the outbox something to send.
    fn ring(&self, applied: &[Applied]) {
        let written = |applied: &Applied| {
            matches!(
                applied.outcome,
                Outcome::PaymentRecorded | Outcome::UserMirrored
            )
        };
        if applied.iter().any(written) {
            self.outbox_bells.iter().for_each(|bell| bell.notify_one());
        }
    }
}
