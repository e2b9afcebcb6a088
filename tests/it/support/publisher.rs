//! A queue that stores nothing, remembers what it was given, and answers as it is told to.

use std::future::pending;
use std::io;
use std::sync::Mutex;

use async_trait::async_trait;
use hookmirror::model::event::Event;
use hookmirror::queue::{Confirmed, PublishError, Publisher, Readiness};
use tokio::sync::Semaphore;

/// What the queue does with an event, after it has written it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Confirms.
    Accept,
    /// Fails, with a cause of its own.
    Fail,
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
    /// Confirms once the test opens the gate, one event each time.
    Gate,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RecordingPublisher {
    behaviour: Mutex<Behaviour>,
    events: Mutex<Vec<Event>>,
    proofs: Mutex<usize>,
    entered: Semaphore,
    gate: Semaphore,
}

impl RecordingPublisher {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour: Mutex::new(behaviour),
            events: Mutex::default(),
            proofs: Mutex::default(),
            entered: Semaphore::new(0),
            gate: Semaphore::new(0),
        }
    }

    /// From now on, behaves like this.
    pub(crate) fn become_(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Every event that it was given, confirmed or not.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// How often it had to prove that it is ready.
    pub(crate) fn proofs(&self) -> usize {
        *self.proofs.lock().unwrap()
    }

    /// Waits until it was called once more.
    pub(crate) async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// Lets one event through.
    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(1);
    }

    async fn behave(&self) -> Result<(), PublishError> {
        self.entered.add_permits(1);
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Accept => Ok(()),
            Behaviour::Fail => {
                let cause = io::Error::new(io::ErrorKind::StorageFull, "the disk is full");
                Err(PublishError(cause.into()))
            }
            Behaviour::Hang => pending().await,
            Behaviour::Panic => panic!("the queue panics, as this test wants it to"),
            Behaviour::Gate => {
                self.gate.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Publisher for RecordingPublisher {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        self.events.lock().unwrap().push(event);
        self.behave().await?;
        Ok(Confirmed::by_stable_storage())
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        *self.proofs.lock().unwrap() += 1;
        self.behave().await?;
        Ok(Readiness::Ready)
    }
}
