//! The queue of the simulation: it must behave as the real ones do.

use std::sync::Arc;

use hookmirror::model::event::EventKey;
use hookmirror::queue::{CauseOfDeath, Consumer, DeadLetters, Publisher};

use super::{Engine, publish};
use crate::support::memory_queue::MemoryQueue;

impl Engine for MemoryQueue {
    async fn fresh() -> Self {
        Self::default()
    }

    async fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.clone())
    }

    async fn consumer(&self) -> Box<dyn Consumer> {
        Box::new(self.clone())
    }

    async fn reopened(self) -> Self {
        self
    }
}

#[tokio::test]
async fn what_nobody_settles_becomes_a_dead_letter_once() {
    let mut queue = MemoryQueue::default();
    publish(&queue, [1]).await;
    for _ in 0..=20 {
        let batch = Consumer::take(&mut queue, 10).await.unwrap();
        assert_eq!(batch.events.len(), 1);
    }
    publish(&queue, [2]).await;
    let batch = Consumer::take(&mut queue, 10).await.unwrap();
    let keys: Vec<&EventKey> = batch.events.iter().map(|event| &event.key).collect();
    assert_eq!(keys, [&super::event("evt_2").key]);
    batch.delivery.ack().await.unwrap();

    // A dead letter that nobody settles stays one.
    for _ in 0..30 {
        let batch = DeadLetters::take(&mut queue, 10).await.unwrap();
        assert_eq!(batch.letters[0].cause, CauseOfDeath::TooManyDeliveries);
    }
    let batch = DeadLetters::take(&mut queue, 10).await.unwrap();
    assert_eq!(queue.len(), 1);
    batch.delivery.ack().await.unwrap();
    assert_eq!(queue.len(), 0);
}
