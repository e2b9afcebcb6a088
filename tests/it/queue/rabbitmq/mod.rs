//! What is particular to the queue in RabbitMQ, against a real broker.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::queue::rabbitmq::{
    PublishFailure, RabbitPublisher, RabbitQueue, Settings, Topology,
};
use hookmirror::queue::{Consumer, PublishError, Publisher};
use lapin::message::Delivery;
use lapin::options::BasicGetOptions;
use lapin::{Channel, Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};

use super::{Engine, PATIENCE, event, number};
use crate::support::rabbitmq::{RabbitMq, topology};

mod consuming;
mod dead_letters;
mod outages;
mod poison;
mod publishing;
mod topologies;

/// Short, so that tests do not wait; long enough for two busy cores.
const SETTINGS: Settings = Settings {
    confirm_timeout: Duration::from_secs(5),
    answer_timeout: Duration::from_secs(10),
    idle_after: Duration::from_secs(60),
};

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(500),
    seed: 1,
};

fn queue(url: &SecretString, topology: &Topology, settings: Settings) -> RabbitQueue {
    RabbitQueue::new(url, topology.clone(), settings, BACKOFF).unwrap()
}

/// A queue with names of its own on the broker that all tests share.
pub(super) struct Shared {
    queue: RabbitQueue,
    topology: Topology,
}

impl Shared {
    /// What consumers do not take goes back early enough for a test to wait for it.
    const SETTINGS: Settings = Settings {
        idle_after: Duration::from_secs(2),
        ..SETTINGS
    };

    fn new(topology: Topology) -> Self {
        let url = RabbitMq::shared().url();
        Self {
            queue: queue(&url, &topology, Self::SETTINGS),
            topology,
        }
    }
}

impl Engine for Shared {
    async fn fresh() -> Self {
        let fresh = Self::new(topology());
        // Consumers and publishers may come in any order from here on.
        fresh.queue.check().await.unwrap();
        fresh
    }

    async fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(connected(&self.queue).await)
    }

    async fn consumer(&self) -> Box<dyn Consumer> {
        Box::new(self.queue.consumer())
    }

    async fn reopened(self) -> Self {
        self.queue.close().await;
        Self::new(self.topology)
    }
}

async fn connected(queue: &RabbitQueue) -> RabbitPublisher {
    let publisher = queue.publisher();
    let connecting = tokio::time::timeout(PATIENCE, publisher.connected()).await;
    connecting.expect("the broker is there");
    publisher
}

/// Somebody else's view of the broker.
struct Stranger {
    /// Keeps the channel open.
    _connection: Connection,
    channel: Channel,
}

impl Stranger {
    async fn new(broker: &RabbitMq) -> Self {
        let url = broker.url();
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(url.expose_secret(), properties);
        let connection = connection.await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self {
            _connection: connection,
            channel,
        }
    }

    /// Takes the oldest message out.
    async fn get(&self, queue: &str) -> Option<Delivery> {
        let options = BasicGetOptions { no_ack: true };
        let got = self.channel.basic_get(queue.into(), options).await.unwrap();
        got.map(|message| message.delivery)
    }

    /// Takes all messages out; answers their ids, without the source.
    async fn ids(&self, queue: &str) -> Vec<String> {
        let mut ids = Vec::new();
        while let Some(message) = self.get(queue).await {
            let id = message.properties.message_id().clone().unwrap();
            ids.push(id.as_str().split_once('/').unwrap().1.to_owned());
        }
        ids
    }
}

fn failure(error: &PublishError) -> &PublishFailure {
    error.0.downcast_ref().unwrap()
}

/// Publishes until it works again.
async fn publish_patiently(publisher: &RabbitPublisher, id: &str) {
    let trying = async {
        while publisher.publish(event(id)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let tried = tokio::time::timeout(PATIENCE, trying).await;
    tried.expect("publishing works again");
}

/// Takes and acknowledges until so many different events have come, minding no loss.
async fn drain_patiently(consumer: &mut dyn Consumer, count: usize) -> Vec<u32> {
    let mut seen = std::collections::BTreeSet::new();
    let draining = async {
        while seen.len() < count {
            let Ok(batch) = consumer.take(100).await else {
                continue;
            };
            let numbers: Vec<u32> = batch.events.iter().map(number).collect();
            // What could not be acknowledged comes again.
            let _ = batch.delivery.ack().await;
            seen.extend(numbers);
        }
    };
    let drained = tokio::time::timeout(3 * PATIENCE, draining).await;
    drained.expect("all events come");
    seen.into_iter().collect()
}
