//! The queue that the settings name: embedded, or a broker with a spool in front of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::admin::{QueueDepth, SpoolDepth};
use crate::backoff::Backoff;
use crate::clock::SystemClock;
use crate::config::{BrokerSettings, Config};
use crate::error_chain::ErrorChain;
use crate::model::ledger::{AtBroker, Waiting};
use crate::model::time::Timestamp;
use crate::queue::embedded::{EmbeddedPublisher, EmbeddedQueue, inspect};
use crate::queue::rabbitmq::{Depth, RabbitError, RabbitQueue, Settings, Topology};
use crate::queue::spool::{Relay, SpoolingPublisher};
use crate::queue::{Consumer, DeadLetters, Publisher};

/// An open queue.
pub(in crate::cli) enum Queue {
    /// In the data directory of this process.
    Embedded(EmbeddedQueue),
    /// At a broker.
    Broker {
        broker: Box<RabbitQueue>,
        /// Only where webhooks are received.
        spool: Option<Spool>,
        backoff: Backoff,
    },
}

/// Where events go while the broker is away.
pub(in crate::cli) struct Spool {
    queue: EmbeddedQueue,
    publisher: Arc<SpoolingPublisher>,
}

impl Queue {
    /// Opens the embedded queue.
    pub(in crate::cli) async fn embedded(data_dir: &Path) -> anyhow::Result<Self> {
        let queue = EmbeddedQueue::open(data_dir)
            .await
            .context("cannot start without the queue")?;
        Ok(Self::Embedded(queue))
    }

    /// Opens the broker's queue; with a spool if this process receives webhooks. The broker may be
    /// away, but if it answers, what it says must fit.
    pub(in crate::cli) async fn at_broker(
        settings: &BrokerSettings,
        spool_in: Option<&Path>,
        confirm_timeout: Duration,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let backoff = Backoff {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(2),
            seed,
        };
        // Of the time that ingress has, the spool must have enough as well.
        let patience = match spool_in {
            Some(_) if settings.spool_max_bytes > 0 => confirm_timeout / 2,
            _ => confirm_timeout,
        };
        let broker = open_broker(settings, patience, backoff)?;
        match broker.check().await {
            // The first events need not take the detour.
            Ok(_) => {
                let _ = tokio::time::timeout(patience, broker.publisher().connected()).await;
            }
            Err(error) if error.is_lasting() => {
                return Err(error).with_context(|| format!("cannot work with {}", settings.url));
            }
            Err(error) => tracing::warn!(
                broker = %settings.url,
                error = %ErrorChain(&error),
                "RabbitMQ is away; it is tried again until it is there"
            ),
        }
        let queue = match spool_in {
            Some(data_dir) if settings.spool_max_bytes > 0 => {
                let queue = EmbeddedQueue::open_as_spool(data_dir).await;
                Some(queue.context("cannot start without the spool (HOOKMIRROR_SPOOL_MAX_BYTES)")?)
            }
            Some(data_dir) => left_over(data_dir).await,
            None => None,
        };
        let spool = queue.map(|queue| {
            let publisher = SpoolingPublisher::new(
                Arc::new(broker.publisher()),
                queue.publisher(),
                settings.spool_max_bytes,
                patience,
                Arc::new(SystemClock),
            );
            Spool {
                publisher: Arc::new(publisher),
                queue,
            }
        });
        Ok(Self::Broker {
            broker: Box::new(broker),
            spool,
            backoff,
        })
    }

    /// Where ingress puts events.
    pub(in crate::cli) fn front(&self) -> Arc<dyn Publisher> {
        match self {
            Self::Broker {
                spool: Some(spool), ..
            } => Arc::clone(&spool.publisher) as Arc<dyn Publisher>,
            _ => self.publisher(),
        }
    }

    /// The queue itself, without a detour: for those who can come again.
    pub(in crate::cli) fn publisher(&self) -> Arc<dyn Publisher> {
        match self {
            Self::Embedded(queue) => Arc::new(queue.publisher()),
            Self::Broker { broker, .. } => Arc::new(broker.publisher()),
        }
    }

    /// Where the worker takes events.
    pub(in crate::cli) fn consumer(&self) -> Box<dyn Consumer> {
        match self {
            Self::Embedded(queue) => Box::new(queue.consumer()),
            Self::Broker { broker, .. } => Box::new(broker.consumer()),
        }
    }

    /// What the queue gave up on.
    pub(in crate::cli) fn dead_letters(&self) -> Box<dyn DeadLetters> {
        match self {
            Self::Embedded(queue) => Box::new(queue.dead_letters()),
            Self::Broker { broker, .. } => Box::new(broker.dead_letters()),
        }
    }

    /// Moves what is in the spool to the broker, until `stop`. `None` where there is no spool.
    pub(in crate::cli) fn relay(&self) -> Option<Relay> {
        match self {
            Self::Broker {
                broker,
                spool: Some(spool),
                backoff,
            } => Some(Relay {
                spool: Box::new(spool.queue.consumer()),
                broker: Arc::new(broker.publisher()),
                backoff: *backoff,
            }),
            _ => None,
        }
    }

    /// How much the queue of this process holds, whenever it is asked. At a broker the broker tells.
    pub(in crate::cli) fn depths(&self) -> impl Fn() -> Vec<QueueDepth> + Send + Sync + use<> {
        let embedded = match self {
            Self::Embedded(queue) => Some(queue.publisher()),
            Self::Broker { .. } => None,
        };
        move || {
            let depth = embedded.as_ref().map(EmbeddedPublisher::depth);
            let depths = depth.map(|depth| [("work", depth.messages), ("dead", depth.dead)]);
            depths.into_iter().flatten().collect()
        }
    }

    /// Since when the queue or spool in the data directory has held something, whenever it is asked.
    pub(in crate::cli) fn oldest(&self) -> impl Fn() -> Option<Timestamp> + Send + Sync + use<> {
        let (embedded, spool) = match self {
            Self::Embedded(queue) => (Some(queue.publisher()), None),
            Self::Broker { spool, .. } => {
                let publisher = spool.as_ref().map(|spool| Arc::clone(&spool.publisher));
                (None, publisher)
            }
        };
        move || match (&embedded, &spool) {
            (Some(queue), _) => queue.oldest(),
            (None, spool) => spool.as_ref()?.oldest(),
        }
    }

    /// How much the spool holds, whenever it is asked; `None` where there is none.
    pub(in crate::cli) fn spool_depth(
        &self,
    ) -> impl Fn() -> Option<SpoolDepth> + Send + Sync + use<> {
        let spool = match self {
            Self::Broker {
                spool: Some(spool), ..
            } => Some(Arc::clone(&spool.publisher)),
            _ => None,
        };
        move || {
            let spool = spool.as_ref()?;
            let depth = spool.depth();
            Some(SpoolDepth {
                messages: depth.messages,
                bytes: depth.bytes,
                limit: spool.limit(),
            })
        }
    }

    /// Closes it; to be called when nobody works with it any more.
    pub(in crate::cli) async fn close(self) {
        match self {
            Self::Embedded(queue) => queue.close().await,
            Self::Broker { broker, spool, .. } => {
                broker.close().await;
                if let Some(spool) = spool {
                    spool.queue.close().await;
                }
            }
        }
    }
}

/// What was acknowledged before the spool was switched off has to leave it all the same. Nothing is
/// added to it, so new events do not depend on it.
async fn left_over(data_dir: &Path) -> Option<EmbeddedQueue> {
    let opened = async {
        if inspect::waiting(data_dir).await?.messages == 0 {
            return Ok(None);
        }
        anyhow::Ok(Some(EmbeddedQueue::open_as_spool(data_dir).await?))
    };
    opened.await.unwrap_or_else(|error| {
        tracing::error!(
            error = %ErrorChain(&*error),
            "what may be left in the data directory cannot be relayed to RabbitMQ"
        );
        None
    })
}

fn open_broker(
    settings: &BrokerSettings,
    confirm_timeout: Duration,
    backoff: Backoff,
) -> Result<RabbitQueue, RabbitError> {
    let patience = Settings {
        confirm_timeout,
        ..Settings::default()
    };
    RabbitQueue::new(
        settings.url.secret(),
        Topology::default(),
        patience,
        backoff,
    )
}

/// How long somebody who looks waits for a broker that does not answer.
const LOOK: Duration = Duration::from_secs(5);

async fn ask_broker(settings: &BrokerSettings) -> Result<Depth, RabbitError> {
    let backoff = Backoff {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(1),
        seed: 0,
    };
    let broker = open_broker(settings, LOOK, backoff)?;
    let silent = RabbitError::TimedOut {
        action: "answer",
        after: LOOK,
    };
    tokio::time::timeout(LOOK, broker.check())
        .await
        .unwrap_or(Err(silent))
}

/// What waits, seen from outside: in the data directory of this machine, and at the broker.
pub(in crate::cli) async fn waiting(config: &Config) -> anyhow::Result<Waiting> {
    let waiting = inspect::waiting(&config.data_dir)
        .await
        .context("cannot look into the queue")?;
    let Some(settings) = &config.broker else {
        return Ok(waiting);
    };
    let at_broker = match ask_broker(settings).await {
        Ok(depth) => AtBroker::Ready {
            work: depth.work.into(),
            dead: depth.dead.into(),
        },
        Err(error) => AtBroker::Unknown(ErrorChain(&error).to_string()),
    };
    Ok(Waiting {
        at_broker: Some(at_broker),
        ..waiting
    })
}
