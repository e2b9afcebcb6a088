//! Dead letters in memory: kept until they are acknowledged, and as unreliable as a test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hookmirror::queue::{ConsumeError, DeadBatch, DeadLetter, DeadLetters, Delivery};
use tokio::sync::Notify;

use super::faults::{Call, Faults, queue_fault};

/// The letters of one test. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct MemoryDeadLetters {
    waiting: Arc<Mutex<VecDeque<DeadLetter>>>,
    arrivals: Arc<Notify>,
    faults: Arc<Faults>,
}

impl MemoryDeadLetters {
    pub(crate) fn new(faults: &Arc<Faults>) -> Self {
        Self {
            waiting: Arc::default(),
            arrivals: Arc::default(),
            faults: Arc::clone(faults),
        }
    }

    pub(crate) fn put(&self, letter: DeadLetter) {
        self.put_back([letter]);
    }

    /// Those that nobody holds.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    fn put_back(&self, letters: impl IntoIterator<Item = DeadLetter>) {
        self.waiting.lock().unwrap().extend(letters);
        self.arrivals.notify_waiters();
    }

    async fn next(&self, max: usize) -> DeadBatch {
        loop {
            let arrival = self.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            let letters: Vec<DeadLetter> = {
                let mut waiting = self.waiting.lock().unwrap();
                let ready = waiting.len().min(max);
                waiting.drain(..ready).collect()
            };
            if letters.is_empty() {
                arrival.await;
                continue;
            }
            let delivery = Box::new(MemoryDelivery {
                unsettled: letters.clone(),
                letters: self.clone(),
            });
            return DeadBatch { letters, delivery };
        }
    }
}

#[async_trait]
impl DeadLetters for MemoryDeadLetters {
    async fn take(&mut self, max: usize) -> Result<DeadBatch, ConsumeError> {
        let work = async { Ok(self.next(max).await) };
        self.faults.around(Call::Take, work, queue_fault).await
    }
}

#[derive(Debug)]
struct MemoryDelivery {
    unsettled: Vec<DeadLetter>,
    letters: MemoryDeadLetters,
}

#[async_trait]
impl Delivery for MemoryDelivery {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        let faults = Arc::clone(&self.letters.faults);
        let work = async {
            self.unsettled.clear();
            Ok(())
        };
        faults.around(Call::Ack, work, queue_fault).await
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for MemoryDelivery {
    fn drop(&mut self) {
        let unsettled = std::mem::take(&mut self.unsettled);
        self.letters.put_back(unsettled);
    }
}
