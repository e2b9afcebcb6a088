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
//! Engines: [`embedded`], a SQLite file in the data directory.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::event::Event;

pub mod embedded;

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

    /// Proves that an event could be stored now, by a write that takes the same path.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    async fn ready(&self) -> Result<(), PublishError>;
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
    /// Removes the batch from the queue, durably. To be called after the effects are committed,
    /// never before.
    ///
    /// # Errors
    ///
    /// When the removal is not known to be durable; the events may then be handed out again.
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
