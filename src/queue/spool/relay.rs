//! From the spool to the broker.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::error_chain::ErrorChain;
use crate::queue::{Batch, ConsumeError, Consumer, Delivery, PublishError, Publisher};

/// How many events are on their way to the broker at most.
const BATCH: usize = 100;
/// How long the broker may take for them. Longer than any that works needs.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the batch in hand may still take after the end was asked for.
const GRACE: Duration = Duration::from_secs(1);
/// How many events are put aside at most. More are not the events' fault.
const ASIDE: usize = 100;
/// How long they wait there.
const ASIDE_FOR: Duration = Duration::from_secs(60);

/// Moves what is in the spool to the broker.
#[derive(Debug)]
pub struct Relay {
    /// The spool.
    pub spool: Box<dyn Consumer>,
    /// Where its events belong.
    pub broker: Arc<dyn Publisher>,
    /// How long to wait between attempts while the broker is away; no attempt costs more than the
    /// broker's refusal, so the longest need not be long.
    pub backoff: Backoff,
}

/// Events that the broker refuses though it takes others. They are handed back to the spool, and so
/// tried again, once the first of them has waited for a while.
#[derive(Default)]
struct Aside {
    deliveries: Vec<Box<dyn Delivery>>,
    until: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the spool cannot be read")]
    Spool(#[source] ConsumeError),
    #[error("RabbitMQ did not take events from the spool")]
    Broker(#[source] PublishError),
    #[error("RabbitMQ did not confirm events from the spool within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the end was asked for")]
    Stopped,
}

impl Relay {
    /// Relays until `stop`; the batch in hand is finished, or goes back to the spool if that takes
    /// long.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        // After a failure a single event finds out whether it is over, and which one is to blame.
        let mut size = BATCH;
        let mut aside = Aside::default();
        while !stop.is_cancelled() {
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = reached(aside.until) => {
                    aside.give_back();
                    continue;
                }
                taken = self.spool.take(size) => taken.map_err(RelayError::Spool),
            };
            let result = match taken {
                Ok(batch) => relay(&*self.broker, batch, &mut aside, &stop).await,
                Err(error) => Err(error),
            };
            let Err(error) = result else {
                if failures > 0 {
                    tracing::info!("RabbitMQ takes events from the spool again");
                }
                failures = 0;
                size = (size * 2).min(BATCH);
                continue;
            };
            if stop.is_cancelled() {
                break;
            }
            let wait = self.backoff.delay(failures);
            if failures == 0 {
                tracing::warn!(error = %ErrorChain(&error), "events stay in the spool for now");
            }
            failures += 1;
            size = 1;
            stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        aside.give_back();
    }
}

/// Brings one batch to its end: with the broker, set aside, or back in the spool.
async fn relay(
    broker: &dyn Publisher,
    batch: Batch,
    aside: &mut Aside,
    stop: &CancellationToken,
) -> Result<(), RelayError> {
    let Batch { events, delivery } = batch;
    let alone = match &events[..] {
        [event] => Some(event.key.clone()),
        _ => None,
    };
    let publish = tokio::time::timeout(PATIENCE, broker.publish_in_order(events));
    let grace = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let confirmed = tokio::select! {
        biased;
        answer = publish => match answer {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(RelayError::Broker(error)),
            Err(_) => Err(RelayError::Silent),
        },
        () = grace => Err(RelayError::Stopped),
    };
    match (confirmed, alone) {
        (Ok(()), _) => delivery.ack().await.map_err(RelayError::Spool),
        (Err(error), Some(key)) if aside.has_room() && takes_others(broker, stop).await => {
            tracing::error!(
                event.source = %key.source, event.id = %key.id, error = %ErrorChain(&error),
                "RabbitMQ takes events, but not {key}: it stays in the spool for now"
            );
            aside.put(delivery);
            Ok(())
        }
        (Err(error), _) => {
            delivery.give_back();
            Err(error)
        }
    }
}

/// Whether it is the event, and not the broker.
async fn takes_others(broker: &dyn Publisher, stop: &CancellationToken) -> bool {
    let asked = tokio::time::timeout(PATIENCE, broker.ready());
    matches!(stop.run_until_cancelled(asked).await, Some(Ok(Ok(_))))
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

impl Aside {
    fn has_room(&self) -> bool {
        self.deliveries.len() < ASIDE
    }

    fn put(&mut self, delivery: Box<dyn Delivery>) {
        self.deliveries.push(delivery);
        self.until.get_or_insert_with(|| Instant::now() + ASIDE_FOR);
    }

    fn give_back(&mut self) {
        for delivery in self.deliveries.drain(..) {
            delivery.give_back();
        }
        self.until = None;
    }
}
