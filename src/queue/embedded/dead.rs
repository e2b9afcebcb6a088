//! The dead letters of the queue, handed out like its messages.

use std::sync::Arc;

use async_trait::async_trait;

use super::handout::Handout;
use super::publisher::{EmbeddedPublisher, OrderError};
use crate::queue::{ConsumeError, DeadBatch, DeadLetters, Delivery};

/// Takes what the embedded queue gave up on.
#[derive(Debug)]
pub struct EmbeddedDeadLetters {
    handout: Arc<Handout>,
    publisher: EmbeddedPublisher,
}

impl EmbeddedDeadLetters {
    pub(super) fn new(handout: Arc<Handout>, publisher: EmbeddedPublisher) -> Self {
        Self { handout, publisher }
    }
}

#[async_trait]
impl DeadLetters for EmbeddedDeadLetters {
    async fn take(&mut self, max: usize) -> Result<DeadBatch, ConsumeError> {
        loop {
            // Listening begins before looking, so that what dies in between is not missed.
            let death = self.handout.bells.deaths.notified();
            tokio::pin!(death);
            death.as_mut().enable();
            if self.publisher.is_closed() {
                return Err(ConsumeError(OrderError::Closed.into()));
            }
            let ready = self.handout.ready_dead(max).await;
            let ready = ready.map_err(|error| ConsumeError(error.into()))?;
            if ready.is_empty() {
                tokio::select! {
                    () = death => {}
                    () = self.publisher.closed() => {}
                }
                continue;
            }
            let (ids, letters) = ready.into_iter().unzip();
            return Ok(DeadBatch {
                letters,
                delivery: Box::new(DeadDelivery {
                    ids,
                    handout: Arc::clone(&self.handout),
                    publisher: self.publisher.clone(),
                }),
            });
        }
    }
}

#[derive(Debug)]
struct DeadDelivery {
    ids: Vec<i64>,
    handout: Arc<Handout>,
    publisher: EmbeddedPublisher,
}

#[async_trait]
impl Delivery for DeadDelivery {
    async fn ack(self: Box<Self>) -> Result<(), ConsumeError> {
        // Ids are never used again, so those of letters that are gone may be handed back.
        self.publisher.remove_dead(self.ids.clone()).await
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for DeadDelivery {
    fn drop(&mut self) {
        self.handout.give_back_dead(&self.ids);
    }
}
