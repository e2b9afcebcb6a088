//! The connection that publishes, kept up for as long as it takes.
//!
//! The supervisor connects, declares the topology and opens the lanes; it waits until the connection
//! is lost, and begins again. Each lane replaces its own channel, so that one that dies costs the
//! others nothing. The library's own recovery is not used: it gives up for good after some attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::Connection;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::RabbitError;
use super::failure::PublishFailure;
use super::lane::{Lane, Order};
use super::topology::Topology;
use super::wire::Wire;
use crate::backoff::Backoff;
use crate::error_chain::ErrorChain;

/// Channels of the connection. A few: more gain nothing, one could hold up everything.
const LANES: usize = 4;
/// Orders that may wait for a lane.
const ORDERS: usize = 256;
/// How often the supervisor looks whether the connection still lives.
const LOOK: Duration = Duration::from_millis(500);
/// What has lived this long was healthy: the next failure is a first one again.
const HEALTHY: Duration = Duration::from_secs(30);
/// What the broker's own tools show.
const NAME: &str = "hookmirror publish";

/// What publishers see.
#[derive(Clone, Debug)]
pub(super) enum Link {
    /// There is no connection, and why.
    Down(RabbitError),
    /// There is one.
    Up(Arc<Lanes>),
    /// There will be none any more.
    Closed,
}

/// The lanes of one connection.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) connection: Arc<Connection>,
    lanes: Vec<Entrance>,
}

#[derive(Clone, Debug)]
struct Entrance {
    orders: mpsc::Sender<Order>,
    /// Whether the lane has a channel now; without one it answers with the reason.
    open: Arc<AtomicBool>,
}

impl Lanes {
    /// One that is open, in turn; any if none is.
    pub(super) fn pick(&self, turn: usize) -> mpsc::Sender<Order> {
        let start = turn % self.lanes.len();
        let (before, after) = self.lanes.split_at(start);
        let open = after
            .iter()
            .chain(before)
            .find(|lane| lane.open.load(Ordering::Acquire));
        open.unwrap_or(&self.lanes[start]).orders.clone()
    }
}

/// Keeps the link up.
#[derive(Clone, Debug)]
pub(super) struct Supervisor {
    pub(super) wire: Arc<Wire>,
    pub(super) topology: Topology,
    pub(super) backoff: Backoff,
    pub(super) confirm_timeout: Duration,
    pub(super) closing: CancellationToken,
}

impl Supervisor {
    /// Works until the queue is closed.
    pub(super) async fn run(self, link: watch::Sender<Link>) {
        let mut failures = 0;
        let mut told = false;
        while !self.closing.is_cancelled() {
            let began = Instant::now();
            let Err(error) = self.hold(&link).await else {
                break;
            };
            if matches!(*link.borrow(), Link::Up(_)) {
                told = false;
            }
            if began.elapsed() > HEALTHY {
                failures = 0;
            }
            let wait = self.backoff.delay(failures);
            failures += 1;
            // An outage is told once, not with each attempt to mend it.
            if told {
                tracing::debug!(error = %ErrorChain(&error), "still no connection for publishing");
            } else {
                report(&error, wait, "no connection for publishing");
            }
            told = true;
            link.send_replace(Link::Down(error));
            self.closing
                .run_until_cancelled(tokio::time::sleep(wait))
                .await;
        }
        link.send_replace(Link::Closed);
    }

    /// Holds one connection until it is lost. `Ok` when the queue is closed.
    async fn hold(&self, link: &watch::Sender<Link>) -> Result<(), RabbitError> {
        let connecting = async {
            let connection = self.wire.connect(NAME).await?;
            let declaring = self.topology.declare(&connection);
            self.wire.within("declare the queues", declaring).await?;
            Ok(connection)
        };
        let Some(connected) = self.closing.run_until_cancelled(connecting).await else {
            return Ok(());
        };
        let (lanes, mut tasks) = self.open(connected?);
        let lanes = Arc::new(lanes);
        link.send_replace(Link::Up(Arc::clone(&lanes)));
        tracing::info!("connected to the broker for publishing");

        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                Some(ended) = tasks.join_next() => if let Ok(Some(error)) = ended {
                    return Err(error);
                },
                _ = look.tick() => if !lanes.connection.status().connected() {
                    return Err(RabbitError::Gone);
                },
                () = self.closing.cancelled() => break,
            }
        }
        link.send_replace(Link::Closed);
        // What is in flight has as long as it would have had.
        let drained = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(self.confirm_timeout, drained).await;
        self.wire.close(&lanes.connection).await;
        Ok(())
    }

    fn open(&self, connection: Connection) -> (Lanes, JoinSet<Option<RabbitError>>) {
        let connection = Arc::new(connection);
        let mut tasks = JoinSet::new();
        let lanes = (0..LANES).map(|_| {
            let (orders, receiver) = mpsc::channel(ORDERS);
            let keeper = Keeper {
                supervisor: self.clone(),
                connection: Arc::clone(&connection),
                orders: receiver,
                // Orders wait for the first channel.
                open: Arc::new(AtomicBool::new(true)),
            };
            let open = Arc::clone(&keeper.open);
            tasks.spawn(keeper.run());
            Entrance { orders, open }
        });
        let lanes = lanes.collect();
        (Lanes { connection, lanes }, tasks)
    }
}

/// Keeps one lane going.
struct Keeper {
    supervisor: Supervisor,
    connection: Arc<Connection>,
    orders: mpsc::Receiver<Order>,
    open: Arc<AtomicBool>,
}

impl Keeper {
    /// `Some` when the connection is not worth keeping, `None` when the queue is closed.
    async fn run(mut self) -> Option<RabbitError> {
        let mut failures = 0;
        loop {
            let lane = match self.lane().await {
                Ok(lane) => lane,
                Err(error) => return Some(error),
            };
            self.open.store(true, Ordering::Release);
            let began = Instant::now();
            let failure = lane.run(&mut self.orders, &self.supervisor.closing).await?;
            self.open.store(false, Ordering::Release);
            if !self.connection.status().connected() {
                return Some(RabbitError::Gone);
            }
            if began.elapsed() > HEALTHY {
                failures = 0;
            }
            // The first time at once: most likely a binding was lost, which is mended now.
            let wait = match failures {
                0 => Duration::ZERO,
                _ => self.supervisor.backoff.delay(failures),
            };
            failures += 1;
            report(&failure, wait, "a channel for publishing is replaced");
            // Whatever it was, a missing exchange, queue or binding is the likeliest cause.
            let declaring = self.supervisor.topology.declare(&self.connection);
            let wire = &self.supervisor.wire;
            if let Err(error) = wire.within("declare the queues", declaring).await {
                return Some(error);
            }
            self.refuse(&failure, wait).await;
        }
    }

    async fn lane(&self) -> Result<Lane, RabbitError> {
        let opening = async {
            let channel = self.connection.create_channel().await?;
            let options = ConfirmSelectOptions::default();
            channel.confirm_select(options).await?;
            Ok(channel)
        };
        let Supervisor { wire, topology, .. } = &self.supervisor;
        let opening = async {
            opening
                .await
                .map_err(|source| RabbitError::of("open a channel", &topology.names(), source))
        };
        Ok(Lane::new(
            wire.within("open a channel", opening).await?,
            &topology.events_exchange,
            self.connection.status().clone(),
            self.supervisor.confirm_timeout,
        ))
    }

    /// Answers what comes meanwhile.
    async fn refuse(&mut self, failure: &PublishFailure, wait: Duration) {
        let refusing = async {
            while let Some(order) = self.orders.recv().await {
                let _ = order.done.send(Err(failure.clone()));
            }
        };
        let refusing = tokio::time::timeout(wait, refusing);
        self.supervisor.closing.run_until_cancelled(refusing).await;
    }
}

fn report(error: &dyn std::error::Error, wait: Duration, what: &str) {
    tracing::warn!(
        error = %ErrorChain(error),
        wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        "{what}"
    );
}
