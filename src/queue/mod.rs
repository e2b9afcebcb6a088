//! The queue between ingress and the worker: what it promises, whichever engine holds it.
//!
//! - **If [`Publisher::publish`] returns `Ok`, the event is on stable storage** and will be handed to
//!   a consumer until one acknowledges it: after a crash, a `kill -9` or a loss of power as well.
//! - An event that is not acknowledged is handed out again. So an event may be handed out more than
//!   once, and two events may be handed out in another order than they were published in. Consumers
//!   must not mind either.
//! - NOT promised: that an event whose `publish` failed is absent. A failure means "not known to be
//!   durable"; the provider's retry may make it a duplicate.
//!
//! Engines: [`embedded`], a SQLite file in the data directory, and [`rabbitmq`]. [`spool`] puts the one
//! before the other.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::event::Event;

pub mod embedded;
pub mod rabbitmq;
pub mod spool;

/// Proof that an event is on stable storage. Ingress cannot build a 2xx without one.
#[derive(Debug)]
#[must_use = "it is what a 2xx is built from"]
pub struct Confirmed(());

impl Confirmed {
    /// Says that stable storage has confirmed the event: an fsynced commit, or a broker's confirm
    /// of a persistent, routed message. Only engines of this module may say it (a test checks
    /// that no other module of this crate does); saying it any earlier breaks promise P1.
    pub const fn by_stable_storage() -> Self {
        Self(())
    }
}

/// The side of the queue that takes events in.
#[async_trait]
pub trait Publisher: Debug + Send + Sync {
    /// Stores one event durably.
    ///
    /// # Errors
    ///
    /// When the event is not known to be durable, for whatever reason. Dropping the future early
    /// leaves it unknown as well. Sets no time limit of its own.
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError>;

    /// Stores events durably, in this order: no event is on stable storage later than one that
    /// follows it. The proof is of all of them.
    ///
    /// # Errors
    ///
    /// When one of them is not known to be durable; others may be.
    async fn publish_in_order(&self, events: Vec<Event>) -> Result<Vec<Confirmed>, PublishError> {
        let mut confirmed = Vec::with_capacity(events.len());
        for event in events {
            confirmed.push(self.publish(event).await?);
        }
        Ok(confirmed)
    }

    /// Proves that an event could be stored now, the way that an event would take.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    async fn ready(&self) -> Result<Readiness, PublishError>;
}

/// How an event that came now would be kept. On stable storage in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Where it belongs.
    Ready,
    /// In a place from which it has to be moved first, or behind others that wait there: why, in one
    /// line.
    Degraded(String),
}

/// The side of the queue that hands events out.
#[async_trait]
pub trait Consumer: Debug + Send {
    /// Waits until at least one event is there and takes what is ready, oldest first, `max` events
    /// at most. Never waits for a batch to fill. Safe to cancel: nothing is taken then.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read now. Calling again later is the remedy.
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError>;
}

/// The side of the queue that hands out what it gave up on.
///
/// A message is given up on when consumers took it again and again and none settled it (it kills
/// them), or when it is not an event of this program. It is kept until it is acknowledged here.
#[async_trait]
pub trait DeadLetters: Debug + Send {
    /// Waits until at least one dead letter is there and takes what is ready, `max` at most. Safe to
    /// cancel: nothing is taken then.
    ///
    /// # Errors
    ///
    /// As [`Consumer::take`].
    async fn take(&mut self, max: usize) -> Result<DeadBatch, ConsumeError>;
}

/// Dead letters that were taken together and are settled together.
#[derive(Debug)]
pub struct DeadBatch {
    /// The letters; at least one.
    pub letters: Vec<DeadLetter>,
    /// The right to settle them, once.
    pub delivery: Box<dyn Delivery>,
}

/// A message that the queue gave up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event; what the message does not tell of it is filled in, so that it can be recorded.
    pub event: Event,
    /// Why it was given up on.
    pub cause: CauseOfDeath,
}

/// Why the queue gave a message up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CauseOfDeath {
    /// It was handed out more often than the queue's limit allows, and never settled.
    TooManyDeliveries,
    /// It is not what this program publishes: what is wrong with it, without quoting it.
    Unreadable(String),
    /// Somebody else removed it from the queue, by a policy or by hand: the queue's word for that.
    Removed(String),
}

/// Events that were taken together and are settled together.
#[derive(Debug)]
pub struct Batch {
    /// The events; at least one.
    pub events: Vec<Event>,
    /// The right to settle them, once.
    pub delivery: Box<dyn Delivery>,
}

/// The right to settle a batch, exactly once, by value. Dropped unsettled, the batch is handed out
/// again, as after [`give_back`](Self::give_back).
#[async_trait]
pub trait Delivery: Debug + Send {
    /// Removes the batch from the queue, durably where the engine can tell (RabbitMQ answers no
    /// acknowledgement). To be called after the effects are committed, never before.
    ///
    /// # Errors
    ///
    /// When the removal is known to have failed, or not known to be durable; the events may then be
    /// handed out again.
    async fn ack(self: Box<Self>) -> Result<(), ConsumeError>;

    /// Hands the batch back, to be taken again, because it could not be processed now.
    fn give_back(self: Box<Self>);
}

/// The event is not known to be durable.
#[derive(Debug, thiserror::Error)]
#[error("the queue could not confirm the event")]
pub struct PublishError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Events could not be taken or removed now.
#[derive(Debug, thiserror::Error)]
#[error("the queue could not be read")]
pub struct ConsumeError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
