//! From the database to Clerk: desired metadata, delivered until Clerk confirms it.
//!
//! Actors: the [`Store`] knows what is desired and what is due, the [`Dispatcher`] leases it, asks
//! the [`ClerkApi`] to merge it, and settles the lease with how that went.
//!
//! Guaranteed: what is desired is sent until Clerk confirms it, denies a user whom the mirror does not
//! show either, or refuses the content; the newest desired state wins. NOT guaranteed: that it is sent only once. A
//! crash between the PATCH and its record sends it again, which is harmless, as the merge of the same
//! state changes nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::outcome::judge;
use crate::backoff::{Backoff, Outage};
use crate::clerk_api::{ClerkApi, Disposition};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::outbox::{DeliveryOutcome, OutboxLease};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

mod outcome;

/// How many entries one round leases.
const ROUND: u32 = 64;
/// Calls to Clerk that are under way at once.
const CONCURRENCY: usize = 8;
/// How long a lease lasts. Longer than a call to Clerk can take, so that two writes for one user are
/// not on their way at once; a crash delays what it held by no more than this.
const LEASE: Duration = Duration::from_secs(60);
/// How long an idle dispatcher sleeps at most: another process may have written to the outbox.
const IDLE: Duration = Duration::from_secs(1);
/// A call is not begun with less than this left of its lease: it could arrive after another
/// dispatcher's newer state and undo it, and nobody would notice.
const TIME_TO_CALL: Duration = Duration::from_secs(20);
/// How long to send nothing when Clerk throttles without saying how long.
const THROTTLED: Duration = Duration::from_secs(10);
/// The least pause when Clerk throttles. `Retry-After: 0` must not make us spin.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that Clerk can ask for. Its limits are per ten seconds; a proxy or a wrong
/// clock on the other side must not silence us for days.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Delivers what the outbox holds.
#[derive(Debug)]
pub struct Dispatcher {
    store: Arc<dyn Store>,
    clerk: Arc<dyn ClerkApi>,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
}

/// What one round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Entries that were leased.
    pub leased: usize,
    /// How long to send nothing to anyone, because Clerk throttles or does not accept the key.
    pub pause: Option<Duration>,
}

impl Dispatcher {
    /// A dispatcher; `backoff` says when a failed delivery is tried again.
    pub fn new(
        store: Arc<dyn Store>,
        clerk: Arc<dyn ClerkApi>,
        clock: Arc<dyn Clock>,
        backoff: Backoff,
    ) -> Self {
        Self {
            store,
            clerk,
            clock,
            backoff,
        }
    }

    /// Delivers until `stop`; then it finishes the calls under way and begins no other. `bell` tells
    /// that something was written.
    pub async fn run(self, bell: Arc<Notify>, stop: CancellationToken) {
        let mut outage = Outage::new(self.backoff);
        while !stop.is_cancelled() {
            // Only an idle dispatcher listens to the bell; a pause is kept whoever rings.
            let pause = match self.round(&stop).await {
                Ok(round) => {
                    if outage.end() {
                        tracing::info!("the database is back: delivery to Clerk resumes");
                    }
                    if round.pause.is_none() && round.leased > 0 {
                        continue;
                    }
                    round.pause
                }
                Err(error) => {
                    let wait = outage.failed();
                    if outage.has_just_begun() {
                        tracing::error!(
                            error = %ErrorChain(&error),
                            "delivery to Clerk pauses; what is due stays in the outbox"
                        );
                    }
                    Some(wait)
                }
            };
            match pause {
                Some(pause) => {
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
                None => {
                    let sleep = tokio::time::sleep(self.until_next_due().await);
                    tokio::select! {
                        () = sleep => {}
                        () = bell.notified() => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        }
    }

    /// Leases what is due, sends it, and settles each lease. After `stop`, what was not begun is
    /// handed back.
    ///
    /// # Errors
    ///
    /// When the database cannot be used. Leases that were not settled run out by themselves.
    pub async fn round(&self, stop: &CancellationToken) -> Result<Round, StoreError> {
        let now = self.clock.now();
        let until = now.plus(LEASE);
        let leases = self.store.lease_outbox(ROUND, now, until).await?;
        let leased = leases.len();
        let ceased = stop.child_token();
        let results: Vec<Result<Option<Duration>, StoreError>> = stream::iter(leases)
            .map(|lease| self.deliver(lease, until, &ceased))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;

        let mut round = Round {
            leased,
            pause: None,
        };
        for pause in results {
            round.pause = round.pause.max(pause?);
        }
        Ok(round)
    }

    /// Answers how long to send nothing, if so.
    async fn deliver(
        &self,
        lease: OutboxLease,
        until: Timestamp,
        ceased: &CancellationToken,
    ) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.now();
        // A refusal earlier in this round can hold for everyone.
        if ceased.is_cancelled() || until.since(now) < TIME_TO_CALL {
            let outcome = DeliveryOutcome::NotSent;
            self.store.settle_outbox(&lease, &outcome, now).await?;
            return Ok(None);
        }
        let result = self
            .clerk
            .merge_public_metadata(&lease.user_id, &lease.desired)
            .await;
        let now = self.clock.now();
        let pause = result.as_ref().err().and_then(|error| {
            let disposition = error.disposition();
            let pause = self.pause(disposition);
            if pause.is_some() {
                ceased.cancel();
            }
            log(&lease, disposition, error);
            pause
        });
        let outcome = judge(result.as_ref().err(), now, pause, || {
            let backoff = self.backoff.of(lease.user_id.as_str());
            backoff.delay(lease.failures)
        });
        self.store.settle_outbox(&lease, &outcome, now).await?;
        Ok(pause)
    }

    fn pause(&self, disposition: Disposition) -> Option<Duration> {
        match disposition {
            Disposition::Throttled(Some(pause)) => Some(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)),
            Disposition::Throttled(None) => Some(THROTTLED),
            Disposition::KeyRefused => Some(self.backoff.longest),
            Disposition::Retry | Disposition::UserGone | Disposition::Park => None,
        }
    }

    async fn until_next_due(&self) -> Duration {
        let due: Option<Timestamp> = self.store.next_outbox_due().await.unwrap_or_default();
        due.map_or(IDLE, |due| due.since(self.clock.now()).min(IDLE))
    }
}

fn log(lease: &OutboxLease, disposition: Disposition, error: &crate::clerk_api::ClerkApiError) {
    let user = &lease.user_id;
    let error = ErrorChain(error);
    match disposition {
        Disposition::KeyRefused => tracing::error!(
            user.id = %user, %error,
            "Clerk does not accept CLERK_SECRET_KEY; nothing is lost, sending resumes with a valid key"
        ),
        Disposition::Park => tracing::error!(
            user.id = %user, %error,
            "Clerk refuses the metadata of {user}; see `hookmirror users show {user}`"
        ),
        Disposition::Throttled(_) => tracing::warn!(%error, "Clerk throttles; sending pauses"),
        Disposition::UserGone => {
            tracing::info!(user.id = %user, "Clerk does not know {user}");
        }
        Disposition::Retry => {
            tracing::warn!(user.id = %user, %error, "metadata of {user} not delivered yet");
        }
    }
}
