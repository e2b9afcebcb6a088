//! Where events are kept while RabbitMQ is away, so that its outage costs no provider a failed delivery.
//!
//! Actors: the [`SpoolingPublisher`] stands where ingress expects its queue. It gives each event to
//! the broker; whatever the broker does not confirm within its `patience` is committed to the spool,
//! an [embedded queue](super::embedded) on this machine. The [`Relay`] moves what is in the spool to the
//! broker, in the order of arrival, and removes nothing that the broker has not confirmed. The
//! [`breaker`] keeps events from waiting for a broker that is known not to answer.
//!
//! Guaranteed: a [`Confirmed`] means that the event is with the broker or in the spool, on stable
//! storage (promise P1); what is in the spool stays there until the broker has it. So an event can
//! reach the broker twice, where its confirm came too late or the process ended before the removal.
//! The spool never holds much more than its limit: beyond it an event is refused, with the
//! broker's own error as the cause.
//!
//! NOT guaranteed: that events reach the broker in the order of their arrival. What comes while the
//! spool is being emptied goes to the broker directly. Nor that everything in the spool gets there: a
//! row that this program did not write cannot be relayed, as nobody has verified it. It stays in the
//! spool's dead letters, counted in its depth and told of in every readiness check, until a worker
//! on this machine's embedded queue, which has a ledger to write to, records it as failed. For
//! the same reason an event that the broker refuses for ever stays in the spool; it does not keep the
//! others from leaving.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::breaker::{Breaker, Route};
use super::embedded::{Depth, EmbeddedPublisher};
use super::{Confirmed, PublishError, Publisher, Readiness};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::event::Event;
use crate::model::time::Timestamp;

mod breaker;
mod relay;

pub use self::relay::Relay;

/// What an event may well take. Real ones have a few KiB.
const USUAL: u64 = 16 * 1024;

/// Gives events to the broker, and to the spool what the broker does not take.
#[derive(Debug)]
pub struct SpoolingPublisher {
    broker: Arc<dyn Publisher>,
    spool: EmbeddedPublisher,
    limit: u64,
    patience: Duration,
    breaker: Breaker,
    /// What is on its way into the spool, and not part of its depth yet.
    coming: AtomicU64,
    /// Whether events go to the spool; told once when it begins, and once when it ends.
    spooling: AtomicBool,
}

impl SpoolingPublisher {
    /// A publisher that keeps at most `limit` bytes in the spool; with zero it keeps none, and the
    /// broker has all the time that the caller has. `patience` is how long an event waits for the
    /// broker: only a part of what the caller waits for the whole, as the commit comes after it.
    pub fn new(
        broker: Arc<dyn Publisher>,
        spool: EmbeddedPublisher,
        limit: u64,
        patience: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            broker,
            spool,
            limit,
            patience,
            breaker: Breaker::new(clock),
            coming: AtomicU64::new(0),
            spooling: AtomicBool::new(false),
        }
    }

    /// How much the spool holds. Reads no file.
    pub fn depth(&self) -> Depth {
        self.spool.depth()
    }

    /// When the event that has been in the spool the longest was received. Reads no file.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.spool.oldest()
    }

    /// What it holds at most, in bytes; zero: it takes nothing more.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn is_switched_off(&self) -> bool {
        self.limit == 0
    }

    /// What the spool would hold with so much more.
    fn with(&self, bytes: u64) -> u64 {
        let coming = self.coming.load(Ordering::Relaxed);
        self.depth()
            .bytes
            .saturating_add(coming)
            .saturating_add(bytes)
    }

    async fn try_broker(&self, event: Event, route: Route<'_>) -> Result<Confirmed, BrokerError> {
        let begun = Instant::now();
        let answer = tokio::time::timeout(self.patience, self.broker.publish(event)).await;
        let result = match answer {
            Ok(answer) => answer.map_err(BrokerError::Failed),
            Err(_) => Err(BrokerError::Silent {
                patience: self.patience,
            }),
        };
        match &result {
            Ok(_) => route.confirmed(),
            Err(_) => route.failed(begun.elapsed() >= self.patience / 10),
        }
        result
    }

    async fn keep(&self, event: Event, broker: BrokerError) -> Result<Confirmed, SpoolError> {
        let bytes = Depth::bytes_of(&event.body);
        if self.with(bytes) > self.limit {
            return Err(self.full(broker));
        }
        let coming = Coming::new(&self.coming, bytes);
        let kept = self.spool.publish(event).await;
        drop(coming);
        match kept {
            Ok(confirmed) => {
                if !self.spooling.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        error = %ErrorChain(&broker),
                        "RabbitMQ does not confirm: events are kept in the spool until it does"
                    );
                }
                Ok(confirmed)
            }
            Err(spool) => Err(SpoolError::NotKept { spool, broker }),
        }
    }

    fn full(&self, broker: BrokerError) -> SpoolError {
        SpoolError::Full {
            held: self.depth().bytes,
            limit: self.limit,
            broker,
        }
    }

    fn confirmed_by_broker(&self) {
        // As long as something waits in the spool it has not ended.
        if self.spooling.load(Ordering::Relaxed)
            && self.depth().messages == 0
            && self.spooling.swap(false, Ordering::Relaxed)
        {
            tracing::info!("RabbitMQ confirms again and the spool is empty");
        }
    }

    async fn ask_broker(&self) -> Result<Readiness, BrokerError> {
        if self.breaker.is_open() {
            return Err(BrokerError::NotAsked);
        }
        match tokio::time::timeout(self.patience, self.broker.ready()).await {
            Ok(answer) => answer.map_err(BrokerError::Failed),
            Err(_) => Err(BrokerError::Silent {
                patience: self.patience,
            }),
        }
    }

    /// How an event would be kept without the broker.
    async fn without_broker(&self, broker: BrokerError) -> Result<Readiness, SpoolError> {
        // An event is more than its row: whoever has room for the smallest only is not ready.
        let room = USUAL.min(self.limit / 10).max(Depth::bytes_of(&[]));
        if self.with(room) > self.limit {
            return Err(self.full(broker));
        }
        match self.spool.ready().await {
            Ok(_) => Ok(Readiness::Degraded(format!(
                "RabbitMQ is away ({}): {} in the spool",
                ErrorChain(&broker),
                counted(self.depth().messages, "event is", "events are")
            ))),
            Err(spool) => Err(SpoolError::NotKept { spool, broker }),
        }
    }
}

#[async_trait]
impl Publisher for SpoolingPublisher {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        if self.is_switched_off() {
            return self.broker.publish(event).await;
        }
        // With a full spool there is nothing better to do than to wait for the broker.
        let full = self.with(Depth::bytes_of(&event.body)) > self.limit;
        let broker = match self.breaker.route(full) {
            Some(route) => match self.try_broker(event.clone(), route).await {
                Ok(confirmed) => {
                    self.confirmed_by_broker();
                    return Ok(confirmed);
                }
                Err(error) => error,
            },
            None => BrokerError::NotAsked,
        };
        let kept = self.keep(event, broker).await;
        kept.map_err(|error| PublishError(error.into()))
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        if self.is_switched_off() {
            return self.broker.ready().await;
        }
        let Depth { messages, dead, .. } = self.depth();
        match self.ask_broker().await {
            Ok(_) if messages > 0 => Ok(Readiness::Degraded(format!(
                "{} on the way from the spool to RabbitMQ",
                counted(messages, "event is", "events are")
            ))),
            Ok(Readiness::Ready) if dead > 0 => Ok(Readiness::Degraded(format!(
                "{} in the spool that cannot be relayed",
                counted(dead, "message is", "messages are")
            ))),
            Ok(readiness) => Ok(readiness),
            Err(broker) => {
                let readiness = self.without_broker(broker).await;
                readiness.map_err(|error| PublishError(error.into()))
            }
        }
    }
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Bytes that are on their way into the spool, for as long as this lives.
struct Coming<'a> {
    all: &'a AtomicU64,
    bytes: u64,
}

impl<'a> Coming<'a> {
    fn new(all: &'a AtomicU64, bytes: u64) -> Self {
        all.fetch_add(bytes, Ordering::Relaxed);
        Self { all, bytes }
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Why the broker has not confirmed.
#[derive(Debug, thiserror::Error)]
enum BrokerError {
    #[error("RabbitMQ did not take the event")]
    Failed(#[source] PublishError),
    #[error("RabbitMQ did not answer within {} ms", patience.as_millis())]
    Silent { patience: Duration },
    #[error("RabbitMQ did not answer lately")]
    NotAsked,
}

/// Why an event was kept nowhere.
#[derive(Debug, thiserror::Error)]
enum SpoolError {
    #[error(
        "the spool is full: it holds {held} of at most {limit} bytes, set by \
         HOOKMIRROR_SPOOL_MAX_BYTES"
    )]
    Full {
        held: u64,
        limit: u64,
        #[source]
        broker: BrokerError,
    },
    #[error("the spool could not keep the event either ({})", ErrorChain(spool))]
    NotKept {
        spool: PublishError,
        #[source]
        broker: BrokerError,
    },
}
