//! The consumer's side of the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::handout::Handout;
use super::publisher::{EmbeddedPublisher, OrderError};
use super::trial::Trial;
use crate::queue::{Batch, ConsumeError, Consumer, Delivery};

/// Takes events from the embedded queue.
#[derive(Debug)]
pub struct EmbeddedConsumer {
    handout: Arc<Handout>,
    publisher: EmbeddedPublisher,
}

impl EmbeddedConsumer {
    pub(super) fn new(handout: Arc<Handout>, publisher: EmbeddedPublisher) -> Self {
        Self { handout, publisher }
    }

    /// What is ready now, if anything is.
    async fn next(&self, max: usize) -> Result<Option<Batch>, ConsumeError> {
        if self.handout.others_are_due() {
            match self.others(max).await? {
                Some(batch) => Ok(Some(batch)),
                None => self.suspect().await,
            }
        } else {
            match self.suspect().await? {
                Some(batch) => Ok(Some(batch)),
                None => self.others(max).await,
            }
        }
    }

    async fn others(&self, max: usize) -> Result<Option<Batch>, ConsumeError> {
        let ready = self.handout.ready(max).await;
        let ready = ready.map_err(|error| ConsumeError(error.into()))?;
        if ready.is_empty() {
            return Ok(None);
        }
        self.handout.others_had_their_turn();
        let (seqs, events) = ready.into_iter().unzip();
        Ok(Some(Batch {
            events,
            delivery: Box::new(EmbeddedDelivery {
                seqs,
                survived: false,
                handout: Arc::clone(&self.handout),
                publisher: self.publisher.clone(),
            }),
        }))
    }

    async fn suspect(&self) -> Result<Option<Batch>, ConsumeError> {
        loop {
            let suspect = Trial::begin(&self.handout, &self.publisher).await;
            let Some((trial, event)) = suspect.map_err(|error| ConsumeError(error.into()))? else {
                return Ok(None);
            };
            if let Some(delivery) = trial.charge(&event).await? {
                return Ok(Some(Batch {
                    events: vec![event],
                    delivery: Box::new(delivery),
                }));
            }
        }
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        loop {
            // Listening begins before looking, so that what arrives in between is not missed.
            let arrival = self.handout.bells.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if self.publisher.is_closed() {
                return Err(ConsumeError(OrderError::Closed.into()));
            }
            // Not with a batch in hand: whoever gives up on this must lose nothing.
            self.handout.bury_unreadable(&self.publisher).await;
            if let Some(batch) = self.next(max).await? {
                return Ok(batch);
            }
            self.handout.bury_unreadable(&self.publisher).await;
            tokio::select! {
                () = arrival => {}
                () = self.publisher.closed() => {}
            }
        }
    }
}

#[derive(Debug)]
struct EmbeddedDelivery {
    seqs: Vec<i64>,
    /// Whether somebody came to settle it.
    survived: bool,
    handout: Arc<Handout>,
    publisher: EmbeddedPublisher,
}

#[async_trait]
impl Delivery for EmbeddedDelivery {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        self.survived = true;
        self.publisher.remove(self.seqs.clone()).await?;
        self.seqs.clear();
        Ok(())
    }

    fn give_back(mut self: Box<Self>) {
        self.survived = true;
    }
}

impl Drop for EmbeddedDelivery {
    fn drop(&mut self) {
        if !self.survived {
            self.handout.abandoned.store(true, Ordering::Relaxed);
        }
        if !self.seqs.is_empty() {
            self.handout.give_back(&self.seqs);
        }
    }
}
