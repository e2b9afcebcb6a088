//! The queue in RabbitMQ, for many processes on many machines.
//!
//! Actors: a [`RabbitPublisher`] hands messages to *lanes*, channels of one connection that the
//! *link* keeps up; the broker's topic exchange routes them to a replicated (quorum) queue, which
//! confirms each one when a majority has it on disk. A [`RabbitConsumer`] takes batches out of a
//! *buffer* that an *intake* fills on a connection of its own, because an alarm of the broker stops
//! connections that publish. What the broker gave up on goes to a second queue, from which
//! [`RabbitDeadLetters`] takes it.
//!
//! Guaranteed: an event is confirmed only if the broker said that it is stored *and* did not return
//! it as unroutable. A binding, queue or exchange that was deleted is declared anew. Both sides
//! reconnect for as long as it takes. A message that kills its process reaches the dead letters
//! alone ([`buffer`] says how), and so does what is not a message of this program.
//!
//! NOT guaranteed: that an event whose publish failed is absent; it may come twice then. That an
//! acknowledgement has arrived: the broker answers none, and what it did not hear of is handed out
//! again. Order between messages in flight at the same time, except in
//! [`publish_in_order`](super::Publisher::publish_in_order).

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lapin::message::Delivery;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::intake::{Feeder, Intake, Reading};
use self::link::{Link, Supervisor};
use self::message::Unreadable;
use self::wire::Wire;
use crate::backoff::Backoff;
use crate::queue::DeadLetter;

mod buffer;
mod consumer;
mod error;
mod failure;
mod intake;
mod item;
mod lane;
mod link;
mod message;
mod publisher;
mod session;
mod topology;
mod wire;

pub use self::consumer::{RabbitConsumer, RabbitDeadLetters};
pub use self::error::RabbitError;
pub use self::failure::PublishFailure;
pub use self::publisher::RabbitPublisher;
pub use self::topology::{
    Argument, BindingDefinition, Definitions, Depth, ExchangeDefinition, QueueDefinition, Topology,
};

/// Messages that one consumer holds at most. A quorum queue allows 2,000; beyond some hundreds
/// nothing is gained, and a crash charges every one of them with a delivery.
const PREFETCH: u16 = 400;
/// Dead letters that are held at once at most.
const DEAD_PREFETCH: u16 = 50;

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a publish may wait for its confirm.
    pub confirm_timeout: Duration,
    /// How long the broker may take to answer anything else, a new connection included.
    pub answer_timeout: Duration,
    /// How long a consumer may hold messages that nobody takes.
    pub idle_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            confirm_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(10),
            idle_after: Duration::from_secs(60),
        }
    }
}

/// A queue in a broker. Needs no broker to be made; connects when it is used.
#[derive(Debug)]
pub struct RabbitQueue {
    wire: Arc<Wire>,
    topology: Topology,
    settings: Settings,
    backoff: Backoff,
    publisher: OnceLock<RabbitPublisher>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl RabbitQueue {
    /// The queue at `url`. `backoff` says how long to wait between attempts to connect; its seed
    /// also decides chance elsewhere.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read.
    pub fn new(
        url: &SecretString,
        topology: Topology,
        settings: Settings,
        backoff: Backoff,
    ) -> Result<Self, RabbitError> {
        Ok(Self {
            wire: Arc::new(Wire::new(url, settings.answer_timeout)?),
            topology,
            settings,
            backoff,
            publisher: OnceLock::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    /// Connects once, declares and verifies the topology, and answers what waits.
    ///
    /// # Errors
    ///
    /// When that fails; [`RabbitError::is_lasting`] says whether it is worth trying again.
    pub async fn check(&self) -> Result<Depth, RabbitError> {
        let connection = self.wire.connect("hookmirror check").await?;
        let declaring = self.topology.declare(&connection);
        let depth = self.wire.within("declare the queues", declaring).await?;
        self.wire.close(&connection).await;
        Ok(depth)
    }

    /// A publisher; any number may exist, they share one connection. To be called inside a Tokio
    /// runtime; the first call begins to connect.
    pub fn publisher(&self) -> RabbitPublisher {
        let publisher = self.publisher.get_or_init(|| {
            let (sender, link) = watch::channel(Link::Down(RabbitError::Gone));
            let supervisor = Supervisor {
                wire: Arc::clone(&self.wire),
                topology: self.topology.clone(),
                backoff: self.backoff.of("publish"),
                confirm_timeout: self.settings.confirm_timeout,
                closing: self.closing.clone(),
            };
            self.tasks.spawn(supervisor.run(sender));
            RabbitPublisher {
                link,
                wire: Arc::clone(&self.wire),
                topology: self.topology.clone(),
                confirm_timeout: self.settings.confirm_timeout,
                next: Arc::new(AtomicUsize::new(0)),
            }
        });
        publisher.clone()
    }

    /// A consumer; any number may exist, each has a connection of its own. To be called inside a
    /// Tokio runtime; connects when something is taken.
    pub fn consumer(&self) -> RabbitConsumer {
        RabbitConsumer::new(self.intake(Reading {
            queue: self.topology.work_queue.clone(),
            name: "hookmirror consume",
            prefetch: PREFETCH,
            cautious: true,
            read: message::event,
        }))
    }

    /// What the broker gave up on. Otherwise as [`consumer`](Self::consumer).
    pub fn dead_letters(&self) -> RabbitDeadLetters {
        RabbitDeadLetters::new(self.intake(Reading {
            queue: self.topology.dead_queue.clone(),
            name: "hookmirror dead letters",
            prefetch: DEAD_PREFETCH,
            cautious: false,
            read: dead_letter,
        }))
    }

    /// Waits until what was accepted is settled, and says goodbye to the broker. Publishers and
    /// consumers that still exist fail from then on; what they hold is handed out again.
    pub async fn close(self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn intake<T>(&self, reading: Reading<T>) -> Arc<Intake<T>>
    where
        T: Clone + Send + Sync + 'static,
    {
        let intake = Arc::new(Intake::new(self.backoff.seed, self.closing.clone()));
        let feeder = Feeder {
            intake: Arc::clone(&intake),
            backoff: self.backoff.of(reading.name),
            reading,
            wire: Arc::clone(&self.wire),
            topology: self.topology.clone(),
            idle_after: self.settings.idle_after,
        };
        self.tasks.spawn(feeder.run());
        intake
    }
}

impl Drop for RabbitQueue {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every message among the dead letters can be read as one"
)]
fn dead_letter(delivery: &mut Delivery) -> Result<DeadLetter, Unreadable> {
    Ok(message::dead_letter(delivery))
}
