//! The sides that hand events and dead letters out.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::RabbitError;
use super::intake::Intake;
use super::item::Item;
use super::session::Session;
use crate::model::event::Event;
use crate::queue::{Batch, ConsumeError, Consumer, DeadBatch, DeadLetter, DeadLetters, Delivery};

/// Takes events from the work queue.
#[derive(Debug)]
pub struct RabbitConsumer(Taker<Event>);

/// Takes what the broker gave up on.
#[derive(Debug)]
pub struct RabbitDeadLetters(Taker<DeadLetter>);

impl RabbitConsumer {
    pub(super) fn new(intake: Arc<Intake<Event>>) -> Self {
        Self(Taker(intake))
    }
}

impl RabbitDeadLetters {
    pub(super) fn new(intake: Arc<Intake<DeadLetter>>) -> Self {
        Self(Taker(intake))
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        let (events, delivery) = self.0.take(max).await?;
        Ok(Batch { events, delivery })
    }
}

#[async_trait]
impl DeadLetters for RabbitDeadLetters {
    async fn take(&mut self, max: usize) -> Result<DeadBatch, ConsumeError> {
        let (letters, delivery) = self.0.take(max).await?;
        Ok(DeadBatch { letters, delivery })
    }
}

/// Ends its background when it goes.
#[derive(Debug)]
struct Taker<T>(Arc<Intake<T>>);

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.0.ended.cancel();
    }
}

impl<T: Contents> Taker<T> {
    async fn take(&self, max: usize) -> Result<(Vec<T>, Box<dyn Delivery>), ConsumeError> {
        let (items, session) = self
            .0
            .take(max)
            .await
            .map_err(|error| ConsumeError(error.into()))?;
        let contents = items.iter().map(|item| item.content.clone()).collect();
        let delivery = RabbitDelivery {
            items,
            session,
            intake: Arc::clone(&self.0),
        };
        Ok((contents, Box::new(delivery)))
    }
}

/// What can be handed out.
trait Contents: Clone + std::fmt::Debug + Send + Sync + 'static {}

impl Contents for Event {}

impl Contents for DeadLetter {}

/// Messages of one session, in a taker's hands.
#[derive(Debug)]
struct RabbitDelivery<T: Contents> {
    items: Vec<Item<T>>,
    session: Arc<Session>,
    intake: Arc<Intake<T>>,
}

#[async_trait]
impl<T: Contents> Delivery for RabbitDelivery<T> {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        let items = std::mem::take(&mut self.items);
        let (session, intake) = (Arc::clone(&self.session), Arc::clone(&self.intake));
        // On a task of its own: an acknowledgement that was begun and given up halfway must neither
        // be forgotten nor be made a second time.
        let acknowledging = tokio::spawn(async move {
            let acknowledged = session.acknowledge(&items).await;
            let suspect = items.iter().any(Item::is_suspect);
            intake.settle(&session, suspect, Vec::new());
            acknowledged
        });
        acknowledging
            .await
            .unwrap_or(Err(RabbitError::Closed))
            .map_err(|error| ConsumeError(error.into()))
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl<T: Contents> Drop for RabbitDelivery<T> {
    /// Not to the broker, which would count it as a delivery: back to where it was taken from.
    fn drop(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let items = std::mem::take(&mut self.items);
        let suspect = items.iter().any(Item::is_suspect);
        self.intake.settle(&self.session, suspect, items);
    }
}
