//! The dispatcher's own loop: leases again as soon as the gate lets it, while earlier calls are still
//! under way. A Clerk that takes long to answer is no reason to leave the budget unused.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Dispatcher, Leased, UNDER_WAY};
use crate::backoff::Outage;
use crate::error_chain::ErrorChain;
use crate::store::StoreError;

/// How long an idle dispatcher sleeps at most: another process may have written to the outbox.
const IDLE: Duration = Duration::from_secs(1);

/// Calls under way.
type Calls = JoinSet<Result<(), StoreError>>;

/// What to wait for before leasing again.
enum Wait {
    /// This long, whoever rings.
    Pause(Duration),
    /// This long, or until the bell rings.
    Idle(Duration),
    /// A call that ends.
    Room,
}

pub(super) async fn run(dispatcher: Arc<Dispatcher>, bell: Arc<Notify>, stop: CancellationToken) {
    let mut calls = Calls::new();
    let mut outage = Outage::new(dispatcher.backoff);
    let mut failure = None;
    while !stop.is_cancelled() {
        let leased = match failure.take() {
            Some(error) => Err(error),
            None => dispatcher.lease(UNDER_WAY - calls.len()).await,
        };
        let wait = match leased {
            Ok(leased) => {
                let was_asked = leased.number > 0 || !leased.more;
                if was_asked && outage.end() {
                    tracing::info!("the database is back: delivery to Clerk resumes");
                }
                let more = leased.more;
                begin(&dispatcher, &mut calls, leased, &stop);
                next_wait(&dispatcher, &calls, more).await
            }
            Err(error) => {
                let wait = outage.failed();
                if outage.has_just_begun() {
                    tracing::error!(
                        error = %ErrorChain(&error),
                        "delivery to Clerk pauses; what is due stays in the outbox"
                    );
                }
                Wait::Pause(wait)
            }
        };
        failure = wait_for(wait, &mut calls, &bell, &stop).await;
    }
    while let Some(ended) = calls.join_next().await {
        if let Err(error) = result_of(ended) {
            tracing::warn!(
                error = %ErrorChain(&error),
                "a delivery could not be recorded; it will be made again"
            );
        }
    }
}

fn begin(
    dispatcher: &Arc<Dispatcher>,
    calls: &mut Calls,
    leased: Leased,
    stop: &CancellationToken,
) {
    let Leased {
        leases,
        until,
        term,
        ..
    } = leased;
    for lease in leases {
        let (dispatcher, stop) = (Arc::clone(dispatcher), stop.clone());
        calls.spawn(async move { dispatcher.deliver(lease, until, term, &stop).await });
    }
}

async fn next_wait(dispatcher: &Dispatcher, calls: &Calls, more: bool) -> Wait {
    let now = dispatcher.clock.now();
    if calls.len() >= UNDER_WAY {
        return Wait::Room;
    }
    if more {
        return Wait::Pause(dispatcher.gate().pause(now).unwrap_or_default());
    }
    let due = dispatcher
        .store
        .next_outbox_due(&dispatcher.recipients)
        .await
        .unwrap_or_default();
    Wait::Idle(due.map_or(IDLE, |due| due.since(now).min(IDLE)))
}

/// A call that ends may have opened the gate, or made an entry due: it ends every wait. Answers what
/// went wrong with it.
async fn wait_for(
    wait: Wait,
    calls: &mut Calls,
    bell: &Notify,
    stop: &CancellationToken,
) -> Option<StoreError> {
    let (patience, listens) = match wait {
        Wait::Pause(pause) => (pause, false),
        Wait::Idle(idle) => (idle, true),
        Wait::Room => (Duration::MAX, false),
    };
    // In this order, so that what is chance in a run is not chance in its repetition. Nobody is kept
    // waiting by it: whatever comes first, everything is looked at before the next wait.
    tokio::select! {
        biased;
        Some(ended) = calls.join_next() => result_of(ended).err(),
        () = stop.cancelled() => None,
        () = bell.notified(), if listens => None,
        () = tokio::time::sleep(patience) => None,
    }
}

/// A call that panicked takes the dispatcher with it, as if it had been made here.
fn result_of(ended: Result<Result<(), StoreError>, JoinError>) -> Result<(), StoreError> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(result) => result,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Cancelled: nobody does that but a runtime that ends.
        Err(Err(_)) => Ok(()),
    }
}
