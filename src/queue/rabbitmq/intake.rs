//! The background of a consumer: opens sessions, fills the buffer, and begins again when the broker
//! was lost.
//!
//! A session begins cautiously: one message is fetched at a time while they are suspects (see
//! [`buffer`](super::buffer)), so that a crash charges that one only. With the first message that is
//! none, or an empty queue, the broker may send as many as the prefetch allows.
//!
//! A session that holds messages that nobody takes is ended, as the worker may wait for its database
//! for hours: the messages go to other workers, and the broker's own limit on unacknowledged
//! messages never strikes. The next `take` begins another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;

use super::buffer::{Buffer, Taken};
use super::error::RabbitError;
use super::item::Item;
use super::message::{Unreadable, earlier_deliveries};
use super::session::Session;
use super::topology::Topology;
use super::wire::Wire;
use crate::backoff::Backoff;
use crate::error_chain::ErrorChain;

/// What has lived this long was healthy: the next failure is a first one again.
const HEALTHY: Duration = Duration::from_secs(30);
/// How often to look whether anything is wrong that nobody tells of.
const LOOK: Duration = Duration::from_millis(500);

/// What a consumer, its batches and its background share.
#[derive(Debug)]
pub(super) struct Intake<T> {
    buffer: Mutex<Buffer<T>>,
    arrivals: Notify,
    wanted: Notify,
    settled: Notify,
    /// The consumer is gone, or the queue is closed.
    pub(super) ended: CancellationToken,
    /// The queue is closed.
    pub(super) closed: CancellationToken,
}

impl<T: Clone> Intake<T> {
    pub(super) fn new(seed: u64, closed: CancellationToken) -> Self {
        Self {
            buffer: Mutex::new(Buffer::new(seed)),
            arrivals: Notify::new(),
            wanted: Notify::new(),
            settled: Notify::new(),
            ended: closed.child_token(),
            closed,
        }
    }

    /// Waits until something is there. Nothing is taken before this future is ready.
    pub(super) async fn take(
        &self,
        max: usize,
    ) -> Result<(Vec<Item<T>>, Arc<Session>), RabbitError> {
        loop {
            // Listening begins before looking, so that what arrives in between is not missed.
            let arrival = self.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if self.ended.is_cancelled() {
                return Err(RabbitError::Closed);
            }
            let taken = self.buffer().take(max);
            match taken {
                Taken::Items(items, session) => return Ok((items, session)),
                Taken::Lost(error) => return Err(error),
                Taken::Nothing => {}
            }
            self.wanted.notify_one();
            tokio::select! {
                () = arrival => {}
                () = self.ended.cancelled() => {}
            }
        }
    }

    /// A batch is no longer in anybody's hands.
    pub(super) fn settle(&self, session: &Session, suspect: bool, returned: Vec<Item<T>>) {
        self.buffer().settled(session, suspect, returned);
        self.settled.notify_one();
        self.arrivals.notify_waiters();
    }

    fn put(&self, item: Item<T>) {
        self.buffer().put(item);
        self.arrivals.notify_waiters();
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer<T>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a queue is read.
pub(super) struct Reading<T> {
    pub(super) queue: String,
    /// What the broker's own tools show.
    pub(super) name: &'static str,
    pub(super) prefetch: u16,
    /// Whether what is handed out can kill the process.
    pub(super) cautious: bool,
    pub(super) read: fn(&mut Delivery) -> Result<T, Unreadable>,
}

/// Fills the buffer of one consumer.
pub(super) struct Feeder<T> {
    pub(super) intake: Arc<Intake<T>>,
    pub(super) reading: Reading<T>,
    pub(super) wire: Arc<Wire>,
    pub(super) topology: Topology,
    pub(super) backoff: Backoff,
    pub(super) idle_after: Duration,
}

/// Why a session ended that was not lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody takes what it holds.
    Idle,
    /// The consumer is gone.
    Ended,
}

impl<T: Clone + Send + 'static> Feeder<T> {
    /// Works until the consumer is gone or the queue is closed.
    pub(super) async fn run(self) {
        let mut failures = 0;
        let mut number = 0;
        // A loss is told once, not with each attempt to mend it.
        let mut told = false;
        while self.is_wanted().await {
            number += 1;
            let began = Instant::now();
            let session = Arc::new(Session::new(number));
            match self.hold(&session).await {
                Ok(End::Ended) => break,
                Ok(End::Idle) => {
                    tracing::info!(
                        queue = self.reading.queue,
                        "nobody takes messages; they go back to the broker"
                    );
                    failures = 0;
                    told = false;
                }
                Err(error) => {
                    if began.elapsed() > HEALTHY {
                        failures = 0;
                    }
                    let had_begun = self.intake.buffer().has_begun();
                    let wait = self.backoff.delay(failures);
                    failures += 1;
                    // Whoever takes messages tells of it, once.
                    tracing::debug!(
                        queue = self.reading.queue,
                        error = %ErrorChain(&error),
                        wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                        "no messages from the broker"
                    );
                    let news = (had_begun || !told).then_some(error);
                    told = true;
                    self.intake.buffer().lose(news);
                    self.intake.arrivals.notify_waiters();
                    let waiting = tokio::time::sleep(wait);
                    self.intake.ended.run_until_cancelled(waiting).await;
                }
            }
        }
        self.intake.buffer().end();
    }

    /// Waits until somebody wants messages; `false` at the end.
    async fn is_wanted(&self) -> bool {
        let waiting = async {
            while !self.intake.buffer().is_wanted() {
                self.intake.wanted.notified().await;
            }
        };
        let ended = &self.intake.ended;
        ended.run_until_cancelled(waiting).await.is_some()
    }

    /// Holds one session.
    async fn hold(&self, session: &Arc<Session>) -> Result<End, RabbitError> {
        let ended = &self.intake.ended;
        let connecting = self.wire.connect(self.reading.name);
        let Some(connection) = ended.run_until_cancelled(connecting).await else {
            return Ok(End::Ended);
        };
        let connection = connection?;
        let end = self.feed(&connection, session).await;
        if end.is_ok() {
            self.wire.close(&connection).await;
        }
        end
    }

    async fn feed(
        &self,
        connection: &Connection,
        session: &Arc<Session>,
    ) -> Result<End, RabbitError> {
        let declaring = self.topology.declare(connection);
        self.wire.within("declare the queues", declaring).await?;
        let opening = self.open(connection);
        let channel = self.wire.within("open a channel", opening).await?;
        self.intake.buffer().begin(Arc::clone(session));
        let mut look = tokio::time::interval(LOOK.min(self.idle_after));
        let end = match self.feel_the_way(&channel, session, &mut look).await? {
            Some(end) => end,
            None => self.consume(&channel, session, &mut look).await?,
        };
        if end == End::Ended {
            // What is in somebody's hands can still be acknowledged.
            while self.intake.buffer().is_out() && channel.status().connected() {
                tokio::select! {
                    () = self.intake.settled.notified() => {}
                    () = self.intake.closed.cancelled() => break,
                    _ = look.tick() => {}
                }
            }
        }
        Ok(end)
    }

    async fn open(&self, connection: &Connection) -> Result<Channel, RabbitError> {
        let opening = async {
            let channel = connection.create_channel().await?;
            let options = BasicQosOptions::default();
            channel.basic_qos(self.reading.prefetch, options).await?;
            Ok(channel)
        };
        opening.await.map_err(|source| self.failed(source))
    }

    /// One message at a time while they are suspects.
    async fn feel_the_way(
        &self,
        channel: &Channel,
        session: &Session,
        look: &mut Interval,
    ) -> Result<Option<End>, RabbitError> {
        if !self.reading.cautious {
            return Ok(None);
        }
        loop {
            let getting = async {
                let queue = self.reading.queue.as_str().into();
                let got = channel.basic_get(queue, BasicGetOptions::default()).await;
                got.map_err(|source| self.failed(source))
            };
            let Some(message) = self.wire.within("hand out a message", getting).await? else {
                return Ok(None);
            };
            let suspect = self.arrive(message.delivery, session).await?;
            if suspect == Some(false) {
                return Ok(None);
            }
            while !self.intake.buffer().is_settled() {
                tokio::select! {
                    () = self.intake.settled.notified() => {}
                    () = self.intake.ended.cancelled() => return Ok(Some(End::Ended)),
                    _ = look.tick() => {
                        if !channel.status().connected() {
                            return Err(RabbitError::Gone);
                        }
                        if self.end_if_idle() {
                            return Ok(Some(End::Idle));
                        }
                    }
                }
            }
        }
    }

    /// As many as the prefetch allows.
    async fn consume(
        &self,
        channel: &Channel,
        session: &Session,
        look: &mut Interval,
    ) -> Result<End, RabbitError> {
        let consuming = async {
            let queue = self.reading.queue.as_str().into();
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel.basic_consume(queue, "".into(), options, arguments);
            consumer.await.map_err(|source| self.failed(source))
        };
        let mut messages = self.wire.within("begin to deliver", consuming).await?;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(Ok(delivery)) => {
                        self.arrive(delivery, session).await?;
                    }
                    Some(Err(source)) => return Err(self.failed(source)),
                    None => return Err(RabbitError::Cancelled {
                        queue: self.reading.queue.clone(),
                    }),
                },
                () = self.intake.ended.cancelled() => return Ok(End::Ended),
                _ = look.tick() => if self.end_if_idle() {
                    return Ok(End::Idle);
                },
            }
        }
    }

    /// Answers whether it is a suspect; `None` if it was not one of ours.
    async fn arrive(
        &self,
        mut delivery: Delivery,
        session: &Session,
    ) -> Result<Option<bool>, RabbitError> {
        let tag = delivery.delivery_tag;
        session.arrived(tag);
        let bytes = delivery.data.len();
        let content = match (self.reading.read)(&mut delivery) {
            Ok(content) => content,
            Err(error) => {
                tracing::error!(
                    queue = self.reading.queue,
                    error = %error,
                    "a message that is none of ours goes to the dead letters"
                );
                session.reject(tag, &delivery.acker).await?;
                return Ok(None);
            }
        };
        let item = Item {
            content,
            bytes,
            earlier_deliveries: match self.reading.cautious {
                true => earlier_deliveries(&delivery),
                false => 0,
            },
            tag,
            acker: delivery.acker,
        };
        let suspect = item.is_suspect();
        self.intake.put(item);
        Ok(Some(suspect))
    }

    /// Looks and ends the session in one go: whoever comes later, while the broker is told, takes
    /// nothing stale, and is heard as one who wants another session.
    fn end_if_idle(&self) -> bool {
        let mut buffer = self.intake.buffer();
        let idle_since = buffer.idle_since();
        let idle = idle_since.is_some_and(|since| since.elapsed() >= self.idle_after);
        if idle {
            buffer.end();
        }
        idle
    }

    fn failed(&self, source: lapin::Error) -> RabbitError {
        RabbitError::of("consume", &self.topology.names(), source)
    }
}
