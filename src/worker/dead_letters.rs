//! From the dead letters to the ledger.
//!
//! Actors: the queue's [`DeadLetters`] hand out what it gave up on, the [`DeadLetterDrain`] records
//! each as `failed`, with the reason, and only then acknowledges it. So nothing piles up where nobody
//! looks.
//!
//! Guaranteed: a dead letter leaves the queue only after the ledger names it. An event that an earlier
//! delivery has settled stays settled. No handler sees the body: it may be what ended the worker.
//! NOT guaranteed: that nothing was done for the event; a worker may have ended after its commit,
//! which the ledger then shows.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::away::{
    Committed, Patience, apply_in_the_end, queue_is_back, wait_empty_handed, wait_for_queue,
};
use super::report::line;
use super::{WorkError, account};
use crate::backoff::Outage;
use crate::clock::Clock;
use crate::handlers;
use crate::metrics::{DeadCause, WorkerMetrics};
use crate::model::changes::{Applied, Decision, Failure, Outcome, Planned};
use crate::model::source::Sources;
use crate::queue::{CauseOfDeath, DeadBatch, DeadLetter, DeadLetters};
use crate::store::Store;

/// How many letters one transaction takes at most. There are few, and their bodies may be anything.
const BATCH: usize = 50;
/// Where these failures happen, for their fingerprint.
const PLACE: &str = "queue";
/// What pauses while the queue is away.
const WHAT: &str = "recording what the queue gave up on";

/// Takes dead letters, records them, acknowledges them.
#[derive(Debug)]
pub struct DeadLetterDrain {
    /// Where dead letters come from.
    pub letters: Box<dyn DeadLetters>,
    /// Where they are recorded.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long to wait for an engine that is away.
    pub patience: Patience,
    /// Which sources are configured.
    pub sources: Sources,
    /// What is counted.
    pub metrics: WorkerMetrics,
}

impl DeadLetterDrain {
    /// Drains until `stop`, finishing the letters in hand if the database lets it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new(self.patience.backoff);
        while let Some(taken) = stop.run_until_cancelled(self.take()).await {
            let recorded = match taken {
                Ok(batch) => self.record(batch, &stop).await.map(drop),
                Err(error) => Err(error),
            };
            match recorded {
                Ok(()) => queue_is_back(WHAT, &mut outage),
                Err(WorkError::Queue(error)) => {
                    wait_for_queue(WHAT, &error, &mut outage, &stop).await;
                }
                Err(WorkError::Store(_)) => {
                    wait_empty_handed(&*self.store, self.patience.backoff, &stop).await;
                }
            }
        }
    }

    /// Waits for the next dead letters. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read.
    pub async fn take(&mut self) -> Result<DeadBatch, WorkError> {
        self.letters.take(BATCH).await.map_err(WorkError::Queue)
    }

    /// Records dead letters and acknowledges them. Waits for a database that is away.
    ///
    /// # Errors
    ///
    /// When the acknowledgement failed, or the database was away for too long or when `stop` came. The letters will
    /// be handed out again.
    pub async fn record(
        &mut self,
        batch: DeadBatch,
        stop: &CancellationToken,
    ) -> Result<Vec<Applied>, WorkError> {
        let DeadBatch { letters, delivery } = batch;
        let causes: Vec<DeadCause> = letters.iter().map(|letter| cause(&letter.cause)).collect();
        let planned: Vec<Planned> = letters.into_iter().map(plan).collect();
        let applying =
            apply_in_the_end(&*self.store, &planned, &*self.clock, self.patience, stop).await;
        let committed = match applying {
            Ok(committed) => committed,
            Err(error) => {
                delivery.give_back();
                return Err(WorkError::Store(error));
            }
        };
        account::count(&self.metrics, &self.sources, &planned, &committed);
        causes
            .into_iter()
            .for_each(|cause| self.metrics.died(cause));
        report(&planned, &committed);
        let Committed { applied, .. } = committed;
        delivery.ack().await.map_err(WorkError::Queue)?;
        Ok(applied)
    }
}

fn cause(cause: &CauseOfDeath) -> DeadCause {
    match cause {
        CauseOfDeath::TooManyDeliveries => DeadCause::TooManyDeliveries,
        CauseOfDeath::Unreadable(_) => DeadCause::Unreadable,
        CauseOfDeath::Removed(_) => DeadCause::Removed,
    }
}

fn plan(letter: DeadLetter) -> Planned {
    let DeadLetter { event, cause } = letter;
    let (kind, message) = match cause {
        CauseOfDeath::TooManyDeliveries => (
            "delivery_limit",
            "workers took it again and again, and none finished it: it may be what ended them; see \
             why they ended, then let the provider send the event again"
                .to_owned(),
        ),
        CauseOfDeath::Unreadable(what) => (
            "message_unreadable",
            format!(
                "the message in the queue is not one that this version can read: {what}; see who \
                 else publishes there"
            ),
        ),
        CauseOfDeath::Removed(how) => (
            "message_removed",
            format!(
                "somebody else removed the message from the queue ({how}): see which policy or \
                 person did, then let the provider send the event again"
            ),
        ),
    };
    Planned {
        subject: None,
        keep_payload: handlers::keeps_payload(&event.event_type),
        decision: Decision::Fail(Failure::new(kind, PLACE, &event.event_type, message).given_up()),
        event,
    }
}

fn report(planned: &[Planned], committed: &Committed) {
    for (planned, applied) in planned.iter().zip(&committed.applied) {
        let event = &planned.event;
        let (source, id, kind) = (&event.key.source, &event.key.id, &event.event_type);
        let (state, outcome, at) = (applied.state, applied.outcome, committed.at);
        match outcome {
            Outcome::Failed(_) => line!(
                error,
                planned,
                applied,
                at,
                "the queue gave up {source} {kind} {id}: {outcome}; see \
                 `hookmirror events show {source}/{id}`"
            ),
            _ => line!(
                info,
                planned,
                applied,
                at,
                "the queue gave up another delivery of {source} {kind} {id}, which is {state}"
            ),
        }
    }
}
