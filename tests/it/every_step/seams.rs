//! The other seams, with a step for each of their calls: a queue in memory that keeps what is not
//! acknowledged, and Clerk.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hookmirror::clerk_api::{ClerkApi, ClerkApiError};
use hookmirror::model::event::{Event, EventKey};
use hookmirror::model::trace::TraceContext;
use hookmirror::model::user::UserId;
use hookmirror::queue::{
    Batch, Confirmed, ConsumeError, Consumer, DeadBatch, DeadLetter, DeadLetters, Delivery,
    PublishError, Publisher, Readiness,
};
use serde_json::Value;

use super::steps::Steps;
use crate::support::faults::queue_fault;

fn publish_fault(source: io::Error) -> PublishError {
    PublishError(source.into())
}

fn clerk_fault(source: io::Error) -> ClerkApiError {
    ClerkApiError::NoAnswer(source.into())
}

/// What it holds, but for what somebody has in hand.
#[derive(Debug, Default)]
pub(super) struct MemoryQueue {
    events: Mutex<VecDeque<Event>>,
    dead: Mutex<VecDeque<DeadLetter>>,
}

impl MemoryQueue {
    pub(super) fn put(&self, event: Event) {
        self.events.lock().unwrap().push_back(event);
    }

    pub(super) fn bury(&self, letter: DeadLetter) {
        self.dead.lock().unwrap().push_back(letter);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.lock().unwrap().is_empty()
    }

    pub(super) fn has_dead(&self) -> bool {
        !self.dead.lock().unwrap().is_empty()
    }

    pub(super) fn keys(&self) -> Vec<EventKey> {
        let events = self.events.lock().unwrap();
        events.iter().map(|event| event.key.clone()).collect()
    }
}

/// The queue as those see it who publish.
#[derive(Debug)]
pub(super) struct StepPublisher {
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) steps: Arc<Steps>,
}

#[async_trait]
impl Publisher for StepPublisher {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        let work = async {
            self.queue.put(event);
            Ok(Confirmed::by_stable_storage())
        };
        self.steps.around("publish", work, publish_fault).await
    }

    async fn publish_in_order(&self, events: Vec<Event>) -> Result<Vec<Confirmed>, PublishError> {
        let work = async {
            let put = |event| {
                self.queue.put(event);
                Confirmed::by_stable_storage()
            };
            Ok(events.into_iter().map(put).collect())
        };
        let call = "publish_in_order";
        self.steps.around(call, work, publish_fault).await
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        let work = async { Ok(Readiness::Ready) };
        self.steps.around("ready", work, publish_fault).await
    }
}

/// Any consumer, step by step.
#[derive(Debug)]
pub(super) struct StepConsumer {
    pub(super) inner: Box<dyn Consumer>,
    pub(super) steps: Arc<Steps>,
}

#[async_trait]
impl Consumer for StepConsumer {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        // To wait for an event is no step.
        let batch = self.inner.take(max).await?;
        let work = async { Ok(batch) };
        let batch = self.steps.around("take", work, queue_fault).await?;
        Ok(Batch {
            events: batch.events,
            delivery: Box::new(StepDelivery {
                call: "ack",
                inner: batch.delivery,
                steps: Arc::clone(&self.steps),
            }),
        })
    }
}

/// Takes what is in memory.
#[derive(Debug)]
pub(super) struct MemoryConsumer(pub(super) Arc<MemoryQueue>);

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        let events = taken(&self.0.events, max);
        if events.is_empty() {
            return pending().await;
        }
        Ok(Batch {
            delivery: Box::new(InHand {
                unsettled: events.clone().into(),
                settle: put_back_events,
                queue: Arc::clone(&self.0),
            }),
            events,
        })
    }
}

/// The dead letters in memory, step by step.
#[derive(Debug)]
pub(super) struct StepDeadLetters {
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) steps: Arc<Steps>,
}

#[async_trait]
impl DeadLetters for StepDeadLetters {
    async fn take(&mut self, max: usize) -> Result<DeadBatch, ConsumeError> {
        let work = async {
            let letters = taken(&self.queue.dead, max);
            Ok(DeadBatch {
                delivery: Box::new(StepDelivery {
                    call: "ack_dead",
                    inner: Box::new(InHand {
                        unsettled: letters.clone().into(),
                        settle: put_back_letters,
                        queue: Arc::clone(&self.queue),
                    }),
                    steps: Arc::clone(&self.steps),
                }),
                letters,
            })
        };
        self.steps.around("take_dead", work, queue_fault).await
    }
}

fn taken<T>(waiting: &Mutex<VecDeque<T>>, max: usize) -> Vec<T> {
    let mut waiting = waiting.lock().unwrap();
    let ready = waiting.len().min(max);
    waiting.drain(..ready).collect()
}

/// Comes back, before all others, unless it is acknowledged.
#[derive(Debug)]
struct InHand<T> {
    unsettled: VecDeque<T>,
    settle: fn(&MemoryQueue, VecDeque<T>),
    queue: Arc<MemoryQueue>,
}

fn put_back_events(queue: &MemoryQueue, mut unsettled: VecDeque<Event>) {
    let mut waiting = queue.events.lock().unwrap();
    unsettled.append(&mut waiting);
    *waiting = unsettled;
}

fn put_back_letters(queue: &MemoryQueue, mut unsettled: VecDeque<DeadLetter>) {
    let mut waiting = queue.dead.lock().unwrap();
    unsettled.append(&mut waiting);
    *waiting = unsettled;
}

#[async_trait]
impl<T: std::fmt::Debug + Send> Delivery for InHand<T> {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        self.unsettled.clear();
        Ok(())
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl<T> Drop for InHand<T> {
    fn drop(&mut self) {
        let unsettled = std::mem::take(&mut self.unsettled);
        (self.settle)(&self.queue, unsettled);
    }
}

#[derive(Debug)]
struct StepDelivery {
    call: &'static str,
    inner: Box<dyn Delivery>,
    steps: Arc<Steps>,
}

#[async_trait]
impl Delivery for StepDelivery {
    async fn ack(self: Box<Self>) -> Result<(), ConsumeError> {
        let Self { call, inner, steps } = *self;
        steps.around(call, inner.ack(), queue_fault).await
    }

    fn give_back(self: Box<Self>) {
        self.inner.give_back();
    }
}

/// Clerk, step by step.
#[derive(Debug)]
pub(super) struct StepClerk {
    pub(super) clerk: Arc<dyn ClerkApi>,
    pub(super) steps: Arc<Steps>,
}

#[async_trait]
impl ClerkApi for StepClerk {
    async fn merge_public_metadata(
        &self,
        user: &UserId,
        public_metadata: &Value,
        trace: Option<TraceContext>,
    ) -> Result<(), ClerkApiError> {
        let work = self
            .clerk
            .merge_public_metadata(user, public_metadata, trace);
        let call = "merge_public_metadata";
        self.steps.around(call, work, clerk_fault).await
    }
}
