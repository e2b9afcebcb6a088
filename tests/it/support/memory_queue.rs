//! A queue in memory that behaves as a quorum queue does: what is not settled comes again, in its old
//! place; what nobody settles, however often it is handed out, becomes a dead letter.
//!
//! It passes the suite that the real queues pass (`tests/it/queue`).

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use hookmirror::model::event::Event;
use hookmirror::queue::{
    Batch, CauseOfDeath, Confirmed, ConsumeError, Consumer, DeadBatch, DeadLetter, DeadLetters,
    Delivery, PublishError, Publisher, Readiness,
};
use tokio::sync::Notify;

/// As the work queue has it.
const DELIVERY_LIMIT: u32 = 20;

/// See the module. Clones are the same queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    messages: Mutex<Messages>,
    arrivals: Notify,
}

#[derive(Debug, Default)]
struct Messages {
    published: u64,
    work: Shelf,
    dead: Shelf,
}

/// Messages in their order.
#[derive(Debug, Default)]
struct Shelf {
    waiting: BTreeMap<u64, Message>,
    handed_out: usize,
}

#[derive(Debug)]
struct Message {
    event: Event,
    deliveries: u32,
}

impl Shelf {
    fn take(&mut self, max: usize) -> Vec<(u64, Message)> {
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some(first) = self.waiting.pop_first()
        {
            taken.push(first);
        }
        self.handed_out += taken.len();
        taken
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.handed_out
    }
}

impl MemoryQueue {
    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.0.messages.lock().unwrap()
    }

    /// Takes an event in, at once.
    pub(crate) fn push(&self, event: Event) -> Confirmed {
        let mut messages = self.messages();
        messages.published += 1;
        let place = messages.published;
        let message = Message {
            event,
            deliveries: 0,
        };
        messages.work.waiting.insert(place, message);
        drop(messages);
        self.0.arrivals.notify_waiters();
        Confirmed::by_stable_storage()
    }

    /// How many messages are in it, dead letters and those in somebody's hands included.
    pub(crate) fn len(&self) -> usize {
        let messages = self.messages();
        messages.work.len() + messages.dead.len()
    }

    async fn take(&self, which: Which, max: usize) -> (Vec<(u64, Message)>, Box<dyn Delivery>) {
        loop {
            let mut arrival = pin!(self.0.arrivals.notified());
            arrival.as_mut().enable();
            let taken = which.of(&mut self.messages()).take(max);
            if !taken.is_empty() {
                let held = taken.iter().map(|(place, message)| {
                    let event = message.event.clone();
                    let deliveries = message.deliveries;
                    (*place, Message { event, deliveries })
                });
                let delivery = Box::new(MemoryDelivery {
                    held: held.collect(),
                    which,
                    queue: self.clone(),
                });
                return (taken, delivery);
            }
            arrival.await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    Work,
    Dead,
}

impl Which {
    fn of(self, messages: &mut Messages) -> &mut Shelf {
        match self {
            Self::Work => &mut messages.work,
            Self::Dead => &mut messages.dead,
        }
    }
}

#[async_trait]
impl Publisher for MemoryQueue {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        Ok(self.push(event))
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        Ok(Readiness::Ready)
    }
}

#[async_trait]
impl Consumer for MemoryQueue {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        let (taken, delivery) = MemoryQueue::take(self, Which::Work, max).await;
        let events = taken.into_iter().map(|(_, message)| message.event);
        Ok(Batch {
            events: events.collect(),
            delivery,
        })
    }
}

#[async_trait]
impl DeadLetters for MemoryQueue {
    async fn take(&mut self, max: usize) -> Result<DeadBatch, ConsumeError> {
        let (taken, delivery) = MemoryQueue::take(self, Which::Dead, max).await;
        let letters = taken.into_iter().map(|(_, message)| DeadLetter {
            event: message.event,
            cause: CauseOfDeath::TooManyDeliveries,
        });
        Ok(DeadBatch {
            letters: letters.collect(),
            delivery,
        })
    }
}

#[derive(Debug)]
struct MemoryDelivery {
    held: Vec<(u64, Message)>,
    which: Which,
    queue: MemoryQueue,
}

#[async_trait]
impl Delivery for MemoryDelivery {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        let settled = std::mem::take(&mut self.held).len();
        self.which.of(&mut self.queue.messages()).handed_out -= settled;
        Ok(())
    }

    fn give_back(mut self: Box<Self>) {
        self.return_all(0);
    }
}

impl MemoryDelivery {
    fn return_all(&mut self, charged: u32) {
        if self.held.is_empty() {
            return;
        }
        let mut messages = self.queue.messages();
        self.which.of(&mut messages).handed_out -= self.held.len();
        for (place, mut message) in self.held.drain(..) {
            message.deliveries += charged;
            let is_dead = message.deliveries > DELIVERY_LIMIT;
            let shelf = if is_dead {
                &mut messages.dead
            } else {
                self.which.of(&mut messages)
            };
            shelf.waiting.insert(place, message);
        }
        drop(messages);
        self.queue.0.arrivals.notify_waiters();
    }
}

impl Drop for MemoryDelivery {
    /// Whoever had it is gone, and it may be why.
    fn drop(&mut self) {
        self.return_all(1);
    }
}
