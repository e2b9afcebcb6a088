//! The side that takes events in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};

use super::error::RabbitError;
use super::failure::PublishFailure;
use super::lane::Order;
use super::link::{Lanes, Link};
use super::message::Message;
use super::topology::Topology;
use super::wire::Wire;
use crate::model::event::Event;
use crate::queue::{Confirmed, PublishError, Publisher, Readiness};

/// Publishes events and waits for the broker's confirms.
///
/// Fails at once while there is no connection or the broker has blocked it: to keep events
/// meanwhile is somebody else's part.
#[derive(Clone, Debug)]
pub struct RabbitPublisher {
    pub(super) link: watch::Receiver<Link>,
    pub(super) wire: Arc<Wire>,
    pub(super) topology: Topology,
    pub(super) confirm_timeout: Duration,
    pub(super) next: Arc<AtomicUsize>,
}

impl RabbitPublisher {
    /// Waits until there is a connection. Safe to cancel.
    pub async fn connected(&self) {
        let mut link = self.link.clone();
        // An error means that the link is closed for good: there is nothing to wait for.
        let _ = link.wait_for(|link| !matches!(link, Link::Down(_))).await;
    }

    fn lanes(&self) -> Result<Arc<Lanes>, PublishFailure> {
        let lanes = match &*self.link.borrow() {
            Link::Up(lanes) => Arc::clone(lanes),
            Link::Down(error) => return Err(PublishFailure::NotConnected(error.clone())),
            Link::Closed => return Err(PublishFailure::Closed),
        };
        if lanes.connection.status().blocked() {
            return Err(PublishFailure::Blocked);
        }
        Ok(lanes)
    }

    async fn publish_all(&self, events: Vec<Event>) -> Result<Vec<Confirmed>, PublishFailure> {
        let lanes = self.lanes()?;
        let orders = lanes.pick(self.next.fetch_add(1, Ordering::Relaxed));
        let publishing = async {
            let mut answers = Vec::with_capacity(events.len());
            for event in events {
                let (done, answer) = oneshot::channel();
                let message = Message::of(event);
                orders
                    .send(Order { message, done })
                    .await
                    .map_err(|_| PublishFailure::Lost(RabbitError::Gone))?;
                answers.push(answer);
            }
            let mut proofs = Vec::with_capacity(answers.len());
            for answer in join_all(answers).await {
                answer.map_err(|_| PublishFailure::Lost(RabbitError::Gone))??;
                proofs.push(Confirmed::by_stable_storage());
            }
            Ok(proofs)
        };
        tokio::time::timeout(self.confirm_timeout, publishing)
            .await
            .unwrap_or(Err(PublishFailure::TimedOut(self.confirm_timeout)))
    }
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        let mut proofs = self
            .publish_all(vec![event])
            .await
            .map_err(|failure| PublishError(failure.into()))?;
        proofs
            .pop()
            .ok_or_else(|| PublishError(PublishFailure::NotRequested.into()))
    }

    /// All on one channel, where the broker keeps the order.
    async fn publish_in_order(&self, events: Vec<Event>) -> Result<Vec<Confirmed>, PublishError> {
        self.publish_all(events)
            .await
            .map_err(|failure| PublishError(failure.into()))
    }

    /// Declares and binds again on the connection that publishes: what is missing is there
    /// afterwards. An alarm shows only after the first event since it began.
    async fn ready(&self) -> Result<Readiness, PublishError> {
        let check = async {
            let lanes = self.lanes()?;
            let declaring = self.topology.declare(&lanes.connection);
            self.wire
                .within("declare the queues", declaring)
                .await
                .map_err(PublishFailure::NotReady)
        };
        check
            .await
            .map_err(|failure| PublishError(failure.into()))?;
        Ok(Readiness::Ready)
    }
}
