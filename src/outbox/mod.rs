//! From the database to Clerk: desired metadata, delivered until Clerk confirms it.
//!
//! Actors: the [`Store`] knows what is desired and what is due; the [`Dispatcher`] leases it, asks
//! the [`ClerkApi`] to merge it, and settles the lease with how that went; its gate says whether
//! anything may be sent now, and how much.
//!
//! Guaranteed: what is desired is sent until Clerk confirms it, denies a user who was not mirrored
//! during the call, or refuses the content; the newest desired state wins; what Clerk confirmed last is
//! not sent again. Clerk's limits are kept, and a pause that it asks for holds for everyone. While Clerk
//! does not accept the key, one entry at a time is tried, nothing is lost or blamed, and with the first
//! confirmed write everything goes on. NOT guaranteed: that it is sent only once. A crash between the
//! PATCH and its record sends it again, which is harmless, as the merge of the same state changes
//! nothing. A write that outlives its lease, because a clock jumped or the process stood still, can undo
//! a newer one; the newest state is sent again when that write is settled. Only if its process ends
//! first does nobody know of it.
//!
//! Each dispatcher has budgets and figures of its own: one for each Clerk instance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::budget::WriteLimits;
use self::gate::{Gate, Term};
use self::outcome::{judge, outcome_of};
pub use self::stats::{DeliveryStats, RequestOutcome};
use crate::backoff::Backoff;
use crate::clerk_api::{ClerkApi, ClerkApiError, Disposition};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::outbox::{DeliveryOutcome, OutboxLease, Recipients};
use crate::model::source::{Provider, SourceName};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};
use crate::traces::{Span, SpanKind, Traces};

mod budget;
mod gate;
mod outcome;
mod running;
mod stats;

/// Calls to Clerk that are under way at once. At its largest budget, 95 writes a second, calls may
/// take more than half a second each before this is what holds them up.
const UNDER_WAY: usize = 64;
/// How long a lease lasts. Longer than a call that was begun under it can take, so that two writes for
/// one user are not on their way at once; a crash delays what it held by no more than this.
const LEASE: Duration = Duration::from_secs(30);
/// A call is not begun with less than this left of its lease: it could arrive after another
/// dispatcher's newer state and undo it, and nobody would notice. A call takes ten seconds at most.
const TIME_TO_CALL: Duration = Duration::from_secs(20);

/// Delivers what the outbox holds.
#[derive(Debug)]
pub struct Dispatcher {
    store: Arc<dyn Store>,
    clerk: Arc<dyn ClerkApi>,
    recipients: Recipients,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    gate: Mutex<Gate>,
    stats: Arc<DeliveryStats>,
    traces: Traces,
}

/// What one round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Entries that were leased.
    pub leased: usize,
    /// How long to send nothing to anyone: the budget is spent, Clerk throttles, or it does not accept
    /// the key. `None` if more could be sent now, or nothing more is due.
    pub pause: Option<Duration>,
}

/// What was leased together, and may be sent.
struct Leased {
    leases: Vec<OutboxLease>,
    until: Timestamp,
    term: Term,
    /// How many were leased; some of them may have been put off since.
    number: usize,
    /// Whether more may be due than could be had.
    more: bool,
}

impl Dispatcher {
    /// A dispatcher; `backoff` says when a failed delivery is tried again.
    pub fn new(
        store: Arc<dyn Store>,
        clerk: Arc<dyn ClerkApi>,
        clock: Arc<dyn Clock>,
        backoff: Backoff,
        limits: WriteLimits,
    ) -> Self {
        Self {
            store,
            clerk,
            recipients: Recipients::All,
            clock,
            backoff,
            gate: Mutex::new(Gate::new(limits, backoff)),
            stats: Arc::default(),
            traces: Traces::default(),
        }
    }

    /// The same, telling of its calls in traces.
    #[must_use]
    pub fn traced_by(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// The same, for the users of one Clerk instance among several.
    #[must_use]
    pub fn serving(self, recipients: Recipients) -> Self {
        Self { recipients, ..self }
    }

    /// What it can tell about itself, also while it runs.
    pub fn stats(&self) -> Arc<DeliveryStats> {
        Arc::clone(&self.stats)
    }

    /// For the log, where there are several.
    fn instance(&self) -> Option<&str> {
        self.recipients.instance().map(SourceName::as_str)
    }

    /// For the log: where the key is set.
    fn key(&self) -> String {
        match self.recipients.instance() {
            Some(name) if *name != Provider::Clerk.into() => {
                format!("the `secret_key` of [[source]] {name}")
            }
            _ => "CLERK_SECRET_KEY".to_owned(),
        }
    }

    /// Delivers until `stop`; then it finishes the calls under way and begins no other. `bell` tells
    /// that something was written.
    pub async fn run(self, bell: Arc<Notify>, stop: CancellationToken) {
        running::run(Arc::new(self), bell, stop).await;
    }

    /// Leases what is due and may be sent, sends it, and settles each lease. After `stop`, what was not
    /// begun is handed back. Does not wait for a budget: answers how long to.
    ///
    /// # Errors
    ///
    /// When the database cannot be used. Leases that were not settled run out by themselves.
    pub async fn round(&self, stop: &CancellationToken) -> Result<Round, StoreError> {
        let Leased {
            leases,
            until,
            term,
            number,
            more,
        } = self.lease(UNDER_WAY).await?;
        let results: Vec<Result<(), StoreError>> = stream::iter(leases)
            .map(|lease| self.deliver(lease, until, term, stop))
            .buffer_unordered(UNDER_WAY)
            .collect()
            .await;
        results.into_iter().collect::<Result<(), StoreError>>()?;
        let now = self.clock.now();
        let is_closed = !self.gate().holds(term);
        let pause = if more || is_closed {
            self.gate().pause(now)
        } else {
            None
        };
        Ok(Round {
            leased: number,
            pause,
        })
    }

    /// A panic while it was locked leaves figures that are right enough.
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases no more than may be sent now, and no more than `room`. Who has had enough writes of late
    /// is put off, without holding up the others.
    async fn lease(&self, room: usize) -> Result<Leased, StoreError> {
        let now = self.clock.now();
        let (writes, term) = self.gate().open_for(now);
        let wanted = writes.min(u32::try_from(room).unwrap_or(u32::MAX));
        let until = now.plus(LEASE);
        let mut leased = Leased {
            leases: Vec::new(),
            until,
            term,
            number: 0,
            more: true,
        };
        if wanted == 0 {
            return Ok(leased);
        }
        let due = self
            .store
            .lease_outbox(&self.recipients, wanted, now, until)
            .await?;
        leased.number = due.len();
        leased.more = due.len() >= wanted as usize;
        let mut put_off = Vec::new();
        {
            let now = self.clock.now();
            let mut gate = self.gate();
            for lease in due {
                match gate.admit(&lease.user_id, now) {
                    Ok(()) => leased.leases.push(lease),
                    Err(again_at) => put_off.push((lease, again_at)),
                }
            }
            gate.sending(leased.leases.len(), now);
        }
        for (lease, again_at) in put_off {
            self.hand_back(&lease, again_at).await?;
        }
        Ok(leased)
    }

    async fn hand_back(&self, lease: &OutboxLease, again_at: Timestamp) -> Result<(), StoreError> {
        let outcome = DeliveryOutcome::NotSent { again_at };
        let now = self.clock.now();
        self.store.settle_outbox(lease, &outcome, now).await
    }

    /// Sends one entry, if that may still be done, and settles its lease.
    async fn deliver(
        &self,
        lease: OutboxLease,
        until: Timestamp,
        term: Term,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        // A refusal since it was leased can hold for everyone.
        let may_send = !stop.is_cancelled() && self.gate().holds(term);
        if !may_send || until.since(now) < TIME_TO_CALL {
            return self.hand_back(&lease, now).await;
        }
        let call = self.traces.begin(lease.trace);
        let begun = Instant::now();
        let result = self
            .clerk
            .merge_public_metadata(&lease.user_id, &lease.desired, Some(call))
            .await;
        let took = begun.elapsed();
        let began_at = now;
        let now = self.clock.now();
        let error = result.as_ref().err();
        let ended = outcome_of(error);
        self.stats.count(ended);
        self.traces.end(call, || Span {
            name: "PATCH /users/{id}/metadata",
            kind: SpanKind::Client,
            context: call,
            parent: lease.trace,
            began_at,
            took,
            attributes: vec![
                ("user.id", lease.user_id.as_str().into()),
                ("hookmirror.outcome", ended.as_str().into()),
            ],
            failed: error.is_some(),
        });
        let again_at = self.learn(&lease, error, term, now);
        let outcome = judge(error, again_at);
        self.store.settle_outbox(&lease, &outcome, now).await
    }

    /// Takes note of an answer and logs it. Answers when to try again, if that is of any use.
    fn learn(
        &self,
        lease: &OutboxLease,
        error: Option<&ClerkApiError>,
        term: Term,
        now: Timestamp,
    ) -> Timestamp {
        let user = &lease.user_id;
        let Some(error) = error else {
            if let Some(since) = self.gate().confirmed(term) {
                self.stats.key_accepted();
                tracing::info!(
                    instance = self.instance(),
                    refused_since = %since,
                    "Clerk accepts {} again: delivery goes on",
                    self.key()
                );
            }
            return now;
        };
        let disposition = error.disposition();
        if disposition == Disposition::KeyRefused {
            let (again_at, is_news) = self.gate().key_refused(term, now);
            // Once, not with each try: a log that repeats itself hides what is in it.
            if is_news {
                self.stats.key_refused(now);
                tracing::error!(
                    instance = self.instance(),
                    error = %ErrorChain(error),
                    "Clerk does not accept {}: nothing is lost, metadata waits in the outbox and is \
                     sent as soon as a key is accepted",
                    self.key()
                );
            }
            return again_at;
        }
        self.gate().undecided(term, now);
        let error = ErrorChain(error);
        match disposition {
            Disposition::Throttled(asked) => {
                let (again_at, is_news) = self.gate().throttled(asked, now);
                if is_news {
                    tracing::warn!(
                        instance = self.instance(), %error, until = %again_at,
                        "Clerk throttles; sending pauses"
                    );
                }
                return again_at;
            }
            Disposition::Park => tracing::error!(
                user.id = %user, %error,
                "Clerk refuses the metadata of {user}; see `hookmirror outbox show {user}`"
            ),
            Disposition::UserGone => {
                tracing::info!(user.id = %user, "Clerk does not know {user}");
            }
            Disposition::Retry | Disposition::KeyRefused => {
                tracing::warn!(user.id = %user, %error, "metadata of {user} not delivered yet");
            }
        }
        let backoff = self.backoff.of(user.as_str());
        now.plus(backoff.full_jitter(lease.failures))
    }
}
