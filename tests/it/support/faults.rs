//! Real engines that fail when a test wants them to, before or after they did what was asked.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hookmirror::queue::{Batch, ConsumeError, Consumer, Delivery};
use hookmirror::store::StoreError;
use tokio::sync::watch;

pub(crate) use super::faulty_store::FaultyStore;
use super::faulty_store::{Around, StoreCall};

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Apply,
    Ping,
    LeaseRetries,
    RetriesQueued,
    LeaseReplays,
    ReplaysQueued,
    Lease,
    Settle,
    Sweep,
    Take,
    Ack,
}

/// Whether a failing call has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// It has not.
    Before,
    /// It has, and the caller does not learn it.
    After,
}

/// The faults of one test, shared by all that it wraps.
#[derive(Debug)]
pub(crate) struct Faults {
    planned: Mutex<BTreeMap<(Call, u64), When>>,
    away: Mutex<BTreeMap<Call, When>>,
    /// Calls that have ended, in whatever way.
    ended: watch::Sender<BTreeMap<Call, u64>>,
}

impl Faults {
    /// None so far.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            planned: Mutex::default(),
            away: Mutex::default(),
            ended: watch::Sender::default(),
        })
    }

    /// Lets the `n`-th call from now fail; the next one is the first.
    pub(crate) fn fail_nth(&self, n: u64, call: Call, when: When) {
        let place = self.ended(call) + n;
        self.planned.lock().unwrap().insert((call, place), when);
    }

    /// Lets every call fail, until [`mend`](Self::mend).
    pub(crate) fn break_down(&self, call: Call, when: When) {
        self.away.lock().unwrap().insert(call, when);
    }

    /// Ends [`break_down`](Self::break_down).
    pub(crate) fn mend(&self, call: Call) {
        self.away.lock().unwrap().remove(&call);
    }

    /// How many calls have ended.
    pub(crate) fn ended(&self, call: Call) -> u64 {
        self.ended.borrow().get(&call).copied().unwrap_or(0)
    }

    /// Waits until so many calls have ended, counted from the beginning.
    pub(crate) async fn until_ended(&self, call: Call, calls: u64) {
        self.ended
            .subscribe()
            .wait_for(|ended| ended.get(&call).is_some_and(|ended| *ended >= calls))
            .await
            .unwrap();
    }

    /// Calls of one kind are expected one at a time; that is how the program makes them.
    pub(crate) async fn around<T, E>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, E>>,
        fault: impl FnOnce(io::Error) -> E,
    ) -> Result<T, E> {
        let place = self.ended(call) + 1;
        let planned = self.planned.lock().unwrap().remove(&(call, place));
        let when = planned.or_else(|| self.away.lock().unwrap().get(&call).copied());
        let result = match when {
            None => work.await,
            Some(When::Before) => Err(fault(io::Error::other("before its effect"))),
            Some(When::After) => match work.await {
                Ok(_) => Err(fault(io::Error::other("after its effect"))),
                Err(error) => Err(error),
            },
        };
        self.ended
            .send_modify(|ended| *ended.entry(call).or_default() += 1);
        result
    }
}

pub(crate) fn store_fault(source: io::Error) -> StoreError {
    StoreError::Unavailable {
        action: "do as it was told",
        source: source.into(),
    }
}

impl Around for Arc<Faults> {
    async fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let call = match call {
            StoreCall::Apply(_) => Call::Apply,
            StoreCall::LeaseRetries => Call::LeaseRetries,
            StoreCall::RetriesQueued => Call::RetriesQueued,
            StoreCall::LeaseReplays => Call::LeaseReplays,
            StoreCall::ReplaysQueued => Call::ReplaysQueued,
            StoreCall::LeaseOutbox => Call::Lease,
            StoreCall::SettleOutbox => Call::Settle,
            StoreCall::Ping => Call::Ping,
            StoreCall::Sweep(_) => Call::Sweep,
            StoreCall::Other(_) => return work.await,
        };
        self.around(call, work, store_fault).await
    }
}

/// A consumer with faults; so are the deliveries that it hands out.
#[derive(Debug)]
pub(crate) struct FaultyConsumer {
    pub(crate) inner: Box<dyn Consumer>,
    pub(crate) faults: Arc<Faults>,
}

pub(crate) fn queue_fault(source: io::Error) -> ConsumeError {
    ConsumeError(source.into())
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        let work = self.inner.take(max);
        let batch = self.faults.around(Call::Take, work, queue_fault).await?;
        Ok(Batch {
            events: batch.events,
            delivery: Box::new(FaultyDelivery {
                inner: batch.delivery,
                faults: Arc::clone(&self.faults),
            }),
        })
    }
}

#[derive(Debug)]
struct FaultyDelivery {
    inner: Box<dyn Delivery>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Delivery for FaultyDelivery {
    async fn ack(self: Box<Self>) -> Result<(), ConsumeError> {
        let Self { inner, faults } = *self;
        faults.around(Call::Ack, inner.ack(), queue_fault).await
    }

    fn give_back(self: Box<Self>) {
        self.inner.give_back();
    }
}
