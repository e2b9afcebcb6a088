//! Once after the start: entitlements that another setting, or an earlier version, has written.
//!
//! What a user is entitled to is derived when a fact of the user changes. A setting changes without
//! one, so those whom it concerns are looked at once by each worker that starts.
//!
//! Guaranteed: it is done in the end, however long the database is away, and what changes by it reaches
//! the outbox in the same transaction. NOT guaranteed: anything while workers with different settings
//! run at the same time; then the last one to look has its way.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, Outage};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::store::Store;

/// Looks at the entitlements that the policy of this process may see otherwise.
#[derive(Debug)]
pub struct Reassessment {
    /// Where they are, and which policy holds.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rung when there may be something to send.
    pub outbox_bells: Vec<Arc<Notify>>,
    /// How long to wait while the database is away.
    pub backoff: Backoff,
}

impl Reassessment {
    /// Does it once, then waits for `stop`.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.in_the_end()).await;
        stop.cancelled().await;
    }

    async fn in_the_end(&self) {
        let mut outage = Outage::new(self.backoff);
        loop {
            match self.store.reassess(self.clock.now()).await {
                Ok(0) => return,
                Ok(users) => {
                    tracing::info!(
                        users,
                        "looked again at what users are entitled to, by the settings of now"
                    );
                    self.outbox_bells.iter().for_each(|bell| bell.notify_one());
                    return;
                }
                Err(error) => {
                    let wait = outage.failed();
                    if outage.has_just_begun() {
                        tracing::warn!(
                            error = %ErrorChain(&error),
                            "changed settings have not taken effect on what users are entitled to; \
                             it is tried again"
                        );
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}
