//! One channel that publishes: hands messages over and waits for their confirms.
//!
//! A lane is one task, for two reasons that lie in the library. It numbers messages and hands their
//! frames over in two steps, so that two tasks on one channel could get each other's confirms. And
//! it pairs a returned (unroutable) message with whichever confirm completes next, not with its own:
//! when the broker confirms several at once, the returned one may look confirmed and a neighbour
//! returned. But the neighbour's confirm completes first, so here, where all confirms of a channel
//! come by, a return is known before its own confirm is believed: nobody is told before everything
//! that has completed by then was heard. After a return nothing on the channel is believed any more:
//! all that is in flight fails, and a new channel takes over.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, ConnectionStatus};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::RabbitError;
use super::failure::PublishFailure;
use super::message::Message;

/// Messages on one channel that wait for their confirm at most.
const IN_FLIGHT: usize = 1024;
/// How often a lane looks whether its channel still lives: nobody tells it.
const LOOK: Duration = Duration::from_millis(200);

/// A message to be published, and who wants to know.
pub(super) struct Order {
    pub(super) message: Message,
    pub(super) done: Done,
}

pub(super) type Done = oneshot::Sender<Result<(), PublishFailure>>;

/// See the module.
pub(super) struct Lane {
    channel: Channel,
    exchange: ShortString,
    connection: ConnectionStatus,
    patience: Duration,
    /// By the order of handing over, so that the first one has waited longest.
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
}

struct Waiting {
    since: Instant,
    done: Done,
}

impl Lane {
    /// `channel` must have been told to confirm.
    pub(super) fn new(
        channel: Channel,
        exchange: &str,
        connection: ConnectionStatus,
        patience: Duration,
    ) -> Self {
        Self {
            channel,
            exchange: exchange.into(),
            connection,
            patience,
            waiting: BTreeMap::new(),
            last: 0,
        }
    }

    /// Publishes until something is wrong, and answers what. All that was in flight then fails.
    /// `None`: the queue was closed, and all is settled.
    pub(super) async fn run(
        mut self,
        orders: &mut mpsc::Receiver<Order>,
        closing: &CancellationToken,
    ) -> Option<PublishFailure> {
        let failure = self.serve(orders, closing).await?;
        for waiting in std::mem::take(&mut self.waiting).into_values() {
            // Whoever asked may have stopped waiting.
            let _ = waiting.done.send(Err(failure.clone()));
        }
        Some(failure)
    }

    async fn serve(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        closing: &CancellationToken,
    ) -> Option<PublishFailure> {
        let mut in_flight = FuturesUnordered::new();
        let mut ended = false;
        let mut look = tokio::time::interval(LOOK);
        loop {
            if ended && in_flight.is_empty() {
                return None;
            }
            tokio::select! {
                Some(first) = in_flight.next() => {
                    // They do not come in the order of completion: one that was woken when its
                    // frames had left may be looked at before one whose confirm came earlier.
                    let mut answers = vec![first];
                    while let Some(Some(answer)) = in_flight.next().now_or_never() {
                        answers.push(answer);
                    }
                    if let Err(failure) = self.settle(answers) {
                        return Some(failure);
                    }
                }
                order = orders.recv(), if !ended && in_flight.len() < IN_FLIGHT => match order {
                    // Whoever has stopped waiting has found another way.
                    Some(Order { done, .. }) if done.is_closed() => {}
                    Some(Order { message, done }) => {
                        self.last += 1;
                        let since = Instant::now();
                        self.waiting.insert(self.last, Waiting { since, done });
                        in_flight.push(publish(
                            self.channel.clone(),
                            self.exchange.clone(),
                            self.last,
                            message,
                        ));
                    }
                    None => ended = true,
                },
                // What was accepted before is still published.
                () = closing.cancelled(), if !orders.is_closed() => orders.close(),
                _ = look.tick() => if let Some(failure) = self.look() {
                    return Some(failure);
                },
            }
        }
    }

    /// Tells those who asked. An error is about the whole channel, and then nobody is told.
    fn settle(
        &mut self,
        answers: Vec<(u64, lapin::Result<Confirmation>)>,
    ) -> Result<(), PublishFailure> {
        let verdicts: Vec<_> = answers
            .into_iter()
            .map(|(number, result)| Ok((number, self.verdict(result)?)))
            .collect::<Result<_, PublishFailure>>()?;
        for (number, verdict) in verdicts {
            if let Some(waiting) = self.waiting.remove(&number) {
                let _ = waiting.done.send(verdict);
            }
        }
        Ok(())
    }

    /// What one message's confirm means for it. An error is about the whole channel.
    fn verdict(
        &self,
        result: lapin::Result<Confirmation>,
    ) -> Result<Result<(), PublishFailure>, PublishFailure> {
        match result {
            Ok(Confirmation::Ack(None)) => Ok(Ok(())),
            Ok(Confirmation::Nack(None)) => Ok(Err(PublishFailure::Refused)),
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
                Err(PublishFailure::Unroutable)
            }
            Ok(Confirmation::NotRequested) => Err(PublishFailure::NotRequested),
            Err(source) => {
                let lost = RabbitError::of("publish an event", self.exchange.as_str(), source);
                Err(PublishFailure::Lost(lost))
            }
        }
    }

    fn look(&mut self) -> Option<PublishFailure> {
        if !self.channel.status().connected() {
            return Some(PublishFailure::Lost(RabbitError::Gone));
        }
        if self.connection.blocked() {
            // The broker reads on when its alarm is over, and may confirm them then; nobody has to
            // wait for that.
            for waiting in std::mem::take(&mut self.waiting).into_values() {
                let _ = waiting.done.send(Err(PublishFailure::Blocked));
            }
        }
        let overdue = self
            .waiting
            .first_key_value()
            .is_some_and(|(_, oldest)| oldest.since.elapsed() > self.patience);
        // A queue that has lost its majority never answers. What is in flight must not pile up.
        overdue.then_some(PublishFailure::TimedOut(self.patience))
    }
}

async fn publish(
    channel: Channel,
    exchange: ShortString,
    number: u64,
    message: Message,
) -> (u64, lapin::Result<Confirmation>) {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let handed_over = channel
        .basic_publish(
            exchange,
            message.routing_key,
            options,
            &message.body,
            message.properties,
        )
        .await;
    let result = match handed_over {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    (number, result)
}
