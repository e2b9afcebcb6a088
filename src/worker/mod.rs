//! From the queue to the database.
//!
//! Actors: a [`Consumer`] hands out what is ready, [`verdict`] says what each event means, the
//! [`Store`] commits the whole batch, and only then the batch is acknowledged.
//!
//! Guaranteed: an event leaves the queue only after its ledger row and its effect are committed
//! together. While the database is away no event is to blame: the batch goes back to the queue, no
//! attempt is charged, and work resumes when the database answers. NOT guaranteed: that an event is
//! processed only once; that doing it again changes nothing is the store's promise.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::changes::{Applied, Outcome, Planned};
use crate::model::source::Sources;
use crate::model::state::EventState;
use crate::queue::{Batch, ConsumeError, Consumer};
use crate::store::{Store, StoreError};

mod verdict;

/// How many events one transaction takes at most.
pub const BATCH: usize = 200;

/// Takes events, applies them, acknowledges them.
#[derive(Debug)]
pub struct Worker {
    /// Where events come from.
    pub consumer: Box<dyn Consumer>,
    /// Where their effects go.
    pub store: Arc<dyn Store>,
    /// Which provider speaks through which source.
    pub sources: Sources,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rung after payments were recorded: the outbox may have something to send.
    pub outbox_bell: Arc<Notify>,
    /// How long to wait between probes of an engine that is away.
    pub backoff: Backoff,
}

/// Why a batch was not finished. It is back in the queue, unless it is applied and only its
/// acknowledgement failed.
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
    /// Works until `stop`, finishing the batch in hand.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        while let Some(result) = stop.run_until_cancelled(self.take()).await {
            let result = match result {
                Ok(batch) => self.process(batch).await.map(drop),
                Err(error) => Err(error),
            };
            let Err(error) = result else {
                failures = 0;
                continue;
            };
            let wait = self.backoff.delay(failures);
            tracing::error!(
                error = %ErrorChain(&error),
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "work pauses; events stay in the queue"
            );
            failures += 1;
            self.wait_for_store(wait, &stop).await;
        }
    }

    /// Waits for the next batch.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read.
    pub async fn take(&mut self) -> Result<Batch, WorkError> {
        self.consumer.take(BATCH).await.map_err(WorkError::Queue)
    }

    /// Brings one batch to its end: decided, committed, acknowledged.
    ///
    /// # Errors
    ///
    /// When the database or the queue is away. The batch will be handed out again.
    pub async fn process(&mut self, batch: Batch) -> Result<Vec<Applied>, WorkError> {
        let Batch { events, delivery } = batch;
        let planned: Vec<Planned> = events
            .into_iter()
            .map(|event| verdict::decide(&self.sources, event))
            .collect();
        let applied = match self.store.apply(&planned, self.clock.now()).await {
            Ok(applied) => applied,
            Err(error) => {
                delivery.give_back();
                return Err(WorkError::Store(error));
            }
        };
        // Before the acknowledgement: should that fail, the events come back as mere duplicates.
        self.report(&planned, &applied);
        delivery.ack().await.map_err(WorkError::Queue)?;
        Ok(applied)
    }

    /// Takes nothing while the database is away, as it would only have to be given back.
    async fn wait_for_store(&mut self, first: Duration, stop: &CancellationToken) {
        let mut wait = first;
        let mut failures = 0;
        loop {
            if stop
                .run_until_cancelled(tokio::time::sleep(wait))
                .await
                .is_none()
            {
                return;
            }
            match self.store.ping().await {
                Ok(()) => return,
                Err(_) => {
                    failures += 1;
                    wait = self.backoff.delay(failures);
                }
            }
        }
    }

    fn report(&mut self, planned: &[Planned], applied: &[Applied]) {
        let mut payments = false;
        for (planned, applied) in planned.iter().zip(applied) {
            payments |= applied.outcome == Outcome::PaymentRecorded;
            let event = &planned.event;
            let (source, id, kind) = (&event.key.source, &event.key.id, &event.event_type);
            let (state, outcome) = (applied.state, applied.outcome);
            match state {
                EventState::Failed => tracing::warn!(
                    event.source = %source, event.id = %id, event.r#type = %kind, %outcome,
                    "{source} {kind} {id} failed; see `hookmirror events show {source}/{id}`"
                ),
                EventState::Waiting => tracing::warn!(
                    event.source = %source, event.id = %id, event.r#type = %kind, %outcome,
                    "{source} {kind} {id} is recorded, but belongs to no known user yet"
                ),
                _ => tracing::info!(
                    event.source = %source, event.id = %id, event.r#type = %kind, %outcome,
                    "{source} {kind} {id}: {state}, {outcome}"
                ),
            }
        }
        if payments
            || applied
                .iter()
                .any(|applied| applied.outcome == Outcome::UserMirrored)
        {
            self.outbox_bell.notify_one();
        }
    }
}
