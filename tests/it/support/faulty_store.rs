//! A real store, with something around its calls. The one place that repeats the plain delegation.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use hookmirror::model::changes::{Applied, Planned};
use hookmirror::model::event::EventKey;
use hookmirror::model::ledger::{EventCounts, EventRecord, UserReport};
use hookmirror::model::operator::{ActionRecord, OperatorAction};
use hookmirror::model::outbox::{
    DeliveryOutcome, OutboxChange, OutboxCount, OutboxEntry, OutboxFilter, OutboxLease,
    OutboxRecord, Recipients,
};
use hookmirror::model::payment::{Attributed, Ownership, WaitingPayment};
use hookmirror::model::retry::RetryLease;
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;
use hookmirror::store::{Store, StoreError};

use super::faults::Faults;

/// A call of the store, as far as anybody wants to tell it from others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreCall<'a> {
    Apply(&'a [Planned]),
    LeaseRetries,
    RetriesQueued,
    LeaseReplays,
    ReplaysQueued,
    LeaseOutbox,
    SettleOutbox,
    Ping,
    /// One step of letting go, by its name.
    Sweep(&'static str),
    /// Anything else, by its name.
    Other(&'static str),
}

impl StoreCall<'_> {
    /// The method that is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Apply(_) => "apply",
            Self::LeaseRetries => "lease_retries",
            Self::RetriesQueued => "retries_queued",
            Self::LeaseReplays => "lease_replays",
            Self::ReplaysQueued => "replays_queued",
            Self::LeaseOutbox => "lease_outbox",
            Self::SettleOutbox => "settle_outbox",
            Self::Ping => "ping",
            Self::Sweep(name) | Self::Other(name) => name,
        }
    }
}

/// What happens around the calls of a store.
pub(crate) trait Around: Debug + Send + Sync {
    /// Does the work of a call, or does not, and answers for it.
    fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// What is applied in the place of this batch.
    fn instead_of<'b>(&self, batch: &'b [Planned]) -> Cow<'b, [Planned]> {
        Cow::Borrowed(batch)
    }
}

/// See the module. By itself it fails when a test wants it to.
#[derive(Debug)]
pub(crate) struct FaultyStore<F = Arc<Faults>> {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) faults: F,
}

#[async_trait]
impl<F: Around> Store for FaultyStore<F> {
    async fn apply(&self, batch: &[Planned], now: Timestamp) -> Result<Vec<Applied>, StoreError> {
        let batch = &*self.faults.instead_of(batch);
        let work = self.inner.apply(batch, now);
        self.faults.around_call(StoreCall::Apply(batch), work).await
    }

    async fn find_event(&self, key: &EventKey) -> Result<Option<EventRecord>, StoreError> {
        let work = self.inner.find_event(key);
        self.faults
            .around_call(StoreCall::Other("find_event"), work)
            .await
    }

    async fn count_events(&self, queued: &[EventKey]) -> Result<EventCounts, StoreError> {
        let work = self.inner.count_events(queued);
        self.faults
            .around_call(StoreCall::Other("count_events"), work)
            .await
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<UserReport>, StoreError> {
        let work = self.inner.find_user(id);
        self.faults
            .around_call(StoreCall::Other("find_user"), work)
            .await
    }

    async fn find_ownership(&self, id: &str) -> Result<Option<Ownership>, StoreError> {
        let work = self.inner.find_ownership(id);
        self.faults
            .around_call(StoreCall::Other("find_ownership"), work)
            .await
    }

    async fn waiting_payments(&self, limit: u32) -> Result<Vec<WaitingPayment>, StoreError> {
        let work = self.inner.waiting_payments(limit);
        self.faults
            .around_call(StoreCall::Other("waiting_payments"), work)
            .await
    }

    async fn attribute(
        &self,
        id: &str,
        user: &UserId,
        from: Option<&UserId>,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<Attributed, StoreError> {
        let work = self.inner.attribute(id, user, from, action, now);
        self.faults
            .around_call(StoreCall::Other("attribute"), work)
            .await
    }

    async fn reassess(&self, now: Timestamp) -> Result<u64, StoreError> {
        let work = self.inner.reassess(now);
        self.faults
            .around_call(StoreCall::Other("reassess"), work)
            .await
    }

    async fn lease_retries(
        &self,
        limit: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<RetryLease>, StoreError> {
        let work = self.inner.lease_retries(limit, now, until);
        self.faults.around_call(StoreCall::LeaseRetries, work).await
    }

    async fn retries_queued(&self, leases: &[RetryLease]) -> Result<(), StoreError> {
        let work = self.inner.retries_queued(leases);
        self.faults
            .around_call(StoreCall::RetriesQueued, work)
            .await
    }

    async fn next_retry_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let work = self.inner.next_retry_due();
        self.faults
            .around_call(StoreCall::Other("next_retry_due"), work)
            .await
    }

    async fn lease_outbox(
        &self,
        of: &Recipients,
        limit: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<OutboxLease>, StoreError> {
        let work = self.inner.lease_outbox(of, limit, now, until);
        self.faults.around_call(StoreCall::LeaseOutbox, work).await
    }

    async fn settle_outbox(
        &self,
        lease: &OutboxLease,
        outcome: &DeliveryOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let work = self.inner.settle_outbox(lease, outcome, now);
        self.faults.around_call(StoreCall::SettleOutbox, work).await
    }

    async fn next_outbox_due(&self, of: &Recipients) -> Result<Option<Timestamp>, StoreError> {
        let work = self.inner.next_outbox_due(of);
        self.faults
            .around_call(StoreCall::Other("next_outbox_due"), work)
            .await
    }

    async fn list_outbox(
        &self,
        filter: &OutboxFilter,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let work = self.inner.list_outbox(filter, limit);
        self.faults
            .around_call(StoreCall::Other("list_outbox"), work)
            .await
    }

    async fn count_outbox(&self) -> Result<Vec<OutboxCount>, StoreError> {
        let work = self.inner.count_outbox();
        self.faults
            .around_call(StoreCall::Other("count_outbox"), work)
            .await
    }

    async fn find_outbox(
        &self,
        user: &UserId,
        attempts: u32,
    ) -> Result<Option<OutboxRecord>, StoreError> {
        let work = self.inner.find_outbox(user, attempts);
        self.faults
            .around_call(StoreCall::Other("find_outbox"), work)
            .await
    }

    async fn change_outbox(
        &self,
        change: OutboxChange,
        filter: &OutboxFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        let work = self.inner.change_outbox(change, filter, action, now);
        self.faults
            .around_call(StoreCall::Other("change_outbox"), work)
            .await
    }

    async fn operator_actions(&self, limit: u32) -> Result<Vec<ActionRecord>, StoreError> {
        let work = self.inner.operator_actions(limit);
        self.faults
            .around_call(StoreCall::Other("operator_actions"), work)
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let work = self.inner.ping();
        self.faults.around_call(StoreCall::Ping, work).await
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let work = self.inner.migrate();
        self.faults
            .around_call(StoreCall::Other("migrate"), work)
            .await
    }

    async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let work = self.inner.pending_migrations();
        self.faults
            .around_call(StoreCall::Other("pending_migrations"), work)
            .await
    }
}
