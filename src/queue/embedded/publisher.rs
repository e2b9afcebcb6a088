//! The writer, as seen by those who give it orders.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::depth::{Depth, Held};
use super::order::{Done, Order, WAITING_BYTES};
use super::row::Flaw;

use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::queue::{Confirmed, ConsumeError, PublishError, Publisher, Readiness};

/// Gives events to the writer and waits until they are durable.
#[derive(Clone, Debug)]
pub struct EmbeddedPublisher {
    orders: mpsc::Sender<Order>,
    room: Arc<Semaphore>,
    held: watch::Receiver<Held>,
    closing: CancellationToken,
}

impl EmbeddedPublisher {
    pub(super) fn new(
        orders: mpsc::Sender<Order>,
        held: watch::Receiver<Held>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            orders,
            room: Arc::new(Semaphore::new(WAITING_BYTES as usize)),
            held,
            closing,
        }
    }

    /// How much the queue holds. Reads no file.
    pub fn depth(&self) -> Depth {
        self.held.borrow().depth
    }

    /// When the message that was queued first was received; `None` if there is none. Reads no file.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.held.borrow().oldest
    }

    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    pub(super) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    async fn order(&self, make: impl FnOnce(Done) -> Order + Send) -> Result<(), OrderError> {
        let (done, answer) = oneshot::channel();
        self.orders
            .send(make(done))
            .await
            .map_err(|_| OrderError::Closed)?;
        answer
            .await
            .map_err(|_| OrderError::Closed)?
            .map_err(OrderError::Commit)
    }

    async fn consumers_order(
        &self,
        make: impl FnOnce(Done) -> Order + Send,
    ) -> Result<(), ConsumeError> {
        self.order(make)
            .await
            .map_err(|error| ConsumeError(error.into()))
    }

    pub(super) async fn remove(&self, seqs: Vec<i64>) -> Result<(), ConsumeError> {
        self.consumers_order(|done| Order::Remove { seqs, done })
            .await
    }

    pub(super) async fn remove_dead(&self, ids: Vec<i64>) -> Result<(), ConsumeError> {
        self.consumers_order(|done| Order::RemoveDead { ids, done })
            .await
    }

    pub(super) async fn charge(&self, seq: i64, deliveries: u32) -> Result<(), ConsumeError> {
        self.consumers_order(|done| Order::Charge {
            seq,
            deliveries,
            done: Some(done),
        })
        .await
    }

    /// Takes a charge back without waiting for it. Answers whether it will be tried at all: with too
    /// many orders before it, it is not.
    pub(super) fn forgive(&self, seq: i64, deliveries: u32) -> bool {
        let order = Order::Charge {
            seq,
            deliveries,
            done: None,
        };
        self.orders.try_send(order).is_ok()
    }

    pub(super) async fn bury(&self, dead: Vec<(i64, Option<Flaw>)>) -> Result<(), ConsumeError> {
        self.consumers_order(|done| Order::Bury { dead, done })
            .await
    }
}

#[async_trait]
impl Publisher for EmbeddedPublisher {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        // An event larger than all the room waits until it has all of it.
        let bytes = u32::try_from(event.body.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(bytes.min(WAITING_BYTES))
            .await
            .map_err(|error| PublishError(error.into()))?;
        self.order(|done| Order::Add {
            event,
            done,
            _room: room,
        })
        .await
        .map_err(|error| PublishError(error.into()))?;
        Ok(Confirmed::by_stable_storage())
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        self.order(|done| Order::Check { done })
            .await
            .map_err(|error| PublishError(error.into()))?;
        Ok(Readiness::Ready)
    }
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The queue is closed, or its writer died.
    #[error("the embedded queue is closed")]
    Closed,
    /// The file could not be written.
    #[error("the embedded queue could not commit")]
    Commit(#[source] Arc<sqlx::Error>),
}
