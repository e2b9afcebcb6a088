//! RabbitMQ is away: events are kept in the spool, and relayed when it is back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookmirror::model::event::Event;
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::queue::spool::{Relay, SpoolingPublisher};
use hookmirror::queue::{Confirmed, PublishError, Publisher, Readiness};
use tokio_util::sync::CancellationToken;

use super::roles::BACKOFF;
use super::seams::StepConsumer;
use super::told::{checkout, user};
use super::world::World;
use crate::support::directory::directory;

const PLENTY: u64 = 1024 * 1024;

/// The broker while it is away.
#[derive(Debug)]
struct Away;

#[async_trait]
impl Publisher for Away {
    async fn publish(&self, _: Event) -> Result<Confirmed, PublishError> {
        Err(PublishError(io::Error::other("away").into()))
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        Err(PublishError(io::Error::other("away").into()))
    }
}

/// What the spool confirmed reaches the broker, and the spool is empty then.
pub(super) async fn what_is_spooled_is_relayed(world: &World) {
    let directory = directory();
    let spool = EmbeddedQueue::open_as_spool(directory.path())
        .await
        .unwrap();
    let clock = world.clock();
    let publisher = SpoolingPublisher::new(
        Arc::new(Away),
        spool.publisher(),
        PLENTY,
        Duration::from_secs(10),
        clock,
    );
    for event in [
        user("msg_1", "user_a", 1),
        checkout("evt_1", "cs_1", None, Some("user_a")),
        user("msg_2", "user_a", 2),
    ] {
        let _ = publisher.publish(event).await.unwrap();
    }
    while spool.depth().messages > 0 {
        let relay = Relay {
            spool: Box::new(StepConsumer {
                inner: Box::new(spool.consumer()),
                steps: Arc::clone(&world.steps),
            }),
            broker: world.publisher(),
            backoff: BACKOFF,
        };
        let stop = CancellationToken::new();
        let empty = async {
            while spool.depth().messages > 0 {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        world
            .drive(async { tokio::join!(relay.run(stop.clone()), empty) })
            .await;
    }
    drop(publisher);
    spool.close().await;
    world.work().await;
    world.deliver().await;
}
