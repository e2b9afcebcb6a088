//! The four seams, as a process of the simulation sees them.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use hookmirror::clerk_api::{ClerkApi, ClerkApiError};
use hookmirror::model::changes::Planned;
use hookmirror::model::event::Event;
use hookmirror::model::trace::TraceContext;
use hookmirror::model::user::UserId;
use hookmirror::queue::{
    Batch, Confirmed, ConsumeError, Consumer, DeadBatch, DeadLetters, Delivery, PublishError,
    Publisher, Readiness,
};
use hookmirror::store::StoreError;
use serde_json::Value;

use super::history::Seam;
use super::part::{Caller, Limbo, Part};
use crate::support::faulty_store::{Around, StoreCall};
use crate::support::memory_queue::MemoryQueue;

fn store_failed(source: io::Error) -> StoreError {
    StoreError::Unavailable {
        action: "do as it was told",
        source: source.into(),
    }
}

fn queue_failed(source: io::Error) -> ConsumeError {
    ConsumeError(source.into())
}

impl Around for Part {
    async fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let seam = match call {
            StoreCall::Apply(_) => Seam::Apply,
            StoreCall::LeaseRetries => Seam::LeaseRetries,
            StoreCall::RetriesQueued => Seam::RetriesQueued,
            StoreCall::LeaseReplays => Seam::LeaseReplays,
            StoreCall::ReplaysQueued => Seam::ReplaysQueued,
            StoreCall::LeaseOutbox => Seam::LeaseOutbox,
            StoreCall::SettleOutbox => Seam::SettleOutbox,
            StoreCall::Ping | StoreCall::Sweep(_) | StoreCall::Other(_) => Seam::Ask,
        };
        let effect = |caller| async move {
            let database = &self.outside.database;
            match caller {
                Caller::Alive => database.call(work),
                Caller::Dying => {
                    database.call_for_the_dying(work);
                    Err(store_failed(io::Error::other("nobody hears of it")))
                }
            }
        };
        self.call(seam, effect, None, store_failed).await
    }

    fn instead_of<'b>(&self, batch: &'b [Planned]) -> Cow<'b, [Planned]> {
        let mut batch = batch.to_vec();
        for planned in &mut batch {
            self.outside.told.correct(planned);
        }
        Cow::Owned(batch)
    }
}

/// The queue, from one process.
#[derive(Clone, Debug)]
pub(super) struct QueueSeam {
    pub(super) part: Part,
    pub(super) queue: MemoryQueue,
}

#[async_trait]
impl Publisher for QueueSeam {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        let (queue, message) = (self.queue.clone(), event.clone());
        let late = Box::new(move || drop(queue.push(message)));
        let effect = |_| async { Ok(self.queue.push(event)) };
        let failed = |source: io::Error| PublishError(source.into());
        self.part
            .call(Seam::Publish, effect, Some(late), failed)
            .await
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        Ok(Readiness::Ready)
    }
}

#[async_trait]
impl Consumer for QueueSeam {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        let taken = Consumer::take(&mut self.queue, max).await?;
        let part = self.part.clone();
        let effect = |_| async { Ok(taken) };
        let batch = part.call(Seam::Take, effect, None, queue_failed).await?;
        Ok(Batch {
            events: batch.events,
            delivery: Box::new(DeliverySeam {
                part,
                inner: batch.delivery,
            }),
        })
    }
}

#[async_trait]
impl DeadLetters for QueueSeam {
    async fn take(&mut self, max: usize) -> Result<DeadBatch, ConsumeError> {
        let taken = DeadLetters::take(&mut self.queue, max).await?;
        let part = self.part.clone();
        let effect = |_| async { Ok(taken) };
        let batch = part.call(Seam::Take, effect, None, queue_failed).await?;
        Ok(DeadBatch {
            letters: batch.letters,
            delivery: Box::new(DeliverySeam {
                part,
                inner: batch.delivery,
            }),
        })
    }
}

#[derive(Debug)]
struct DeliverySeam {
    part: Part,
    inner: Box<dyn Delivery>,
}

#[async_trait]
impl Delivery for DeliverySeam {
    async fn ack(self: Box<Self>) -> Result<(), ConsumeError> {
        let Self { part, inner } = *self;
        part.call(Seam::Ack, |_| inner.ack(), None, queue_failed)
            .await
    }

    fn give_back(self: Box<Self>) {
        self.inner.give_back();
    }
}

/// Clerk, from one process. A call that was sent arrives, whatever becomes of the process.
#[derive(Clone, Debug)]
pub(super) struct ClerkSeam(pub(super) Part);

#[async_trait]
impl ClerkApi for ClerkSeam {
    async fn merge_public_metadata(
        &self,
        user: &UserId,
        public_metadata: &Value,
        _trace: Option<TraceContext>,
    ) -> Result<(), ClerkApiError> {
        let clerk = Arc::clone(&self.0.outside.clerk);
        let (of, metadata) = (user.clone(), public_metadata.clone());
        let late = Box::new(move || drop(clerk.merge(&of, &metadata)));
        let effect = |_| async { self.0.outside.clerk.merge(user, public_metadata) };
        let failed = |source: io::Error| ClerkApiError::NoAnswer(source.into());
        let limbo = Limbo::begin(&self.0.outside, user.as_str());
        let result = self.0.call(Seam::Patch, effect, Some(late), failed).await;
        limbo.end();
        result
    }
}
