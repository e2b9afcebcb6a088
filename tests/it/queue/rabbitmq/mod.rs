//! What is particular to the queue in RabbitMQ, against a real broker.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::queue::rabbitmq::{RabbitPublisher, RabbitQueue, Settings, Topology};
use hookmirror::queue::{Consumer, Publisher};
use secrecy::SecretString;

use super::{Engine, PATIENCE};
use crate::support::rabbitmq::{RabbitMq, topology};

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
