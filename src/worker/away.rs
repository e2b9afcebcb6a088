//! What is done while an engine is away. Nothing here is any event's fault, so nothing is charged.
//!
//! The database and the queue fail for reasons of their own, and each is waited for by itself: a
//! database that answers says nothing about a broker. A batch that cannot be committed stays in hand
//! meanwhile. To give it back would count as a delivery with a broker, and an outage that is long
//! enough, or seen by enough workers, would make dead letters of events that did nothing wrong. The
//! price: no other worker gets it meanwhile, though it might reach the database.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, Outage};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::changes::{Applied, Planned};
use crate::queue::ConsumeError;
use crate::store::{Store, StoreError};

/// Commits a batch, however long the database is away.
///
/// # Errors
///
/// When `stop` comes first: the last error of the database, and nothing is known to be written.
pub(super) async fn apply_in_the_end(
    store: &dyn Store,
    batch: &[Planned],
    clock: &dyn Clock,
    backoff: Backoff,
    stop: &CancellationToken,
) -> Result<Vec<Applied>, StoreError> {
    let mut outage = Outage::new(backoff);
    loop {
        let error = match store.apply(batch, clock.now()).await {
            Ok(applied) => {
                if outage.end() {
                    tracing::info!("the database is back: work resumes");
                }
                return Ok(applied);
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
        let waiting = wait_for_store(store, wait, &mut outage);
        if stop.run_until_cancelled(waiting).await.is_none() {
            return Err(error);
        }
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

/// Waits before the queue is asked again; says so once in an outage.
pub(super) async fn wait_for_queue(
    error: &ConsumeError,
    outage: &mut Outage,
    stop: &CancellationToken,
) {
    let wait = outage.failed();
    if outage.has_just_begun() {
        tracing::error!(
            error = %ErrorChain(error),
            "work pauses until the queue is back; events stay in it"
        );
    }
    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
}

/// To be called when the queue has done all that it was asked for.
pub(super) fn queue_is_back(outage: &mut Outage) {
    if outage.end() {
        tracing::info!("the queue is back: work resumes");
    }
}
