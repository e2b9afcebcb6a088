//! What is done while an engine is away. Nothing here is any event's fault, so nothing is charged.
//!
//! The database and the queue fail for reasons of their own, and each is waited for by itself: a
//! database that answers says nothing about a broker. A batch that cannot be committed stays in hand
//! for a while, as most outages are short. Then it goes back, and nothing is taken before the database
//! answers, so that a broker can hand it to a worker that reaches the database, and does not count
//! the hours.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, Outage};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::changes::{Applied, Planned};
use crate::model::time::Timestamp;
use crate::queue::ConsumeError;
use crate::store::{Store, StoreError};

/// How patient to be with a database that is away.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long to wait between probes.
    pub backoff: Backoff,
    /// How long to keep a batch in hand meanwhile.
    pub hold: Duration,
}

/// A batch that is committed.
pub(super) struct Committed {
    pub(super) applied: Vec<Applied>,
    /// When its transaction began, by the clock.
    pub(super) began_at: Timestamp,
    /// When it was committed, by the clock.
    pub(super) at: Timestamp,
    /// How long the transaction took.
    pub(super) took: Duration,
}

/// Commits a batch, even if the database is away for up to `hold`.
///
/// # Errors
///
/// When it is away for longer, or `stop` comes first: the last error of the database, and nothing is
/// known to be written.
pub(super) async fn apply_in_the_end(
    store: &dyn Store,
    batch: &[Planned],
    clock: &dyn Clock,
    patience: Patience,
    stop: &CancellationToken,
) -> Result<Committed, StoreError> {
    let mut outage = Outage::new(patience.backoff);
    let begun = Instant::now();
    loop {
        let (attempt, began_at) = (Instant::now(), clock.now());
        let error = match store.apply(batch, began_at).await {
            Ok(applied) => {
                if outage.end() {
                    tracing::info!("the database is back: work resumes");
                }
                return Ok(Committed {
                    applied,
                    began_at,
                    at: clock.now(),
                    took: attempt.elapsed(),
                });
            }
            Err(error) => error,
        };
        let wait = outage.failed();
        if outage.has_just_begun() {
            tracing::error!(
                error = %ErrorChain(&error),
                "work pauses until the database is back; events stay in the queue"
            );
        } else {
            tracing::warn!(
                error = %ErrorChain(&error),
                "the database answers, and commits nothing"
            );
        }
        let waiting = timeout_at(
            begun + patience.hold,
            wait_for_store(store, wait, &mut outage),
        );
        match stop.run_until_cancelled(waiting).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return Err(error),
        }
    }
}

/// Waits for the database with nothing in hand. Returns when it answers, or at `stop`.
pub(super) async fn wait_empty_handed(
    store: &dyn Store,
    backoff: Backoff,
    stop: &CancellationToken,
) {
    if stop.is_cancelled() {
        return;
    }
    tracing::warn!("the database is still away: events go back to the queue, and wait there");
    let mut outage = Outage::new(backoff);
    let first = outage.failed();
    let waiting = wait_for_store(store, first, &mut outage);
    if stop.run_until_cancelled(waiting).await.is_some() {
        tracing::info!("the database answers again: work resumes");
    }
}

/// Returns when the database answers. Safe to cancel.
async fn wait_for_store(store: &dyn Store, first: Duration, outage: &mut Outage) {
    tokio::time::sleep(first).await;
    while let Err(error) = store.ping().await {
        tracing::debug!(error = %ErrorChain(&error), "the database does not answer yet");
        tokio::time::sleep(outage.failed()).await;
    }
}

/// Waits before the queue is asked again; says so once in an outage. `what` pauses meanwhile.
pub(super) async fn wait_for_queue(
    what: &str,
    error: &ConsumeError,
    outage: &mut Outage,
    stop: &CancellationToken,
) {
    let wait = outage.failed();
    if outage.has_just_begun() {
        tracing::error!(
            error = %ErrorChain(error),
            "{what} pauses until the queue is back; events stay in it"
        );
    }
    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
}

/// To be called when the queue has done all that it was asked for.
pub(super) fn queue_is_back(what: &str, outage: &mut Outage) {
    if outage.end() {
        tracing::info!("the queue is back: {what} resumes");
    }
}
