//! The roles of a [`World`]: built as a process builds them, and anew whenever they are gone.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::outbox::Recipients;
use hookmirror::model::time::Timestamp;
use hookmirror::outbox::{Dispatcher, WriteLimits};
use hookmirror::queue::Publisher;
use hookmirror::scheduler::{Replayer, Scheduler};
use hookmirror::traces::Traces;
use hookmirror::worker::{DeadLetterDrain, Patience, Worker};
use tokio_util::sync::CancellationToken;

use super::seams::{MemoryConsumer, StepClerk, StepConsumer, StepDeadLetters, StepPublisher};
use super::world::World;

pub(super) const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(5),
    seed: 7,
};
/// Of the outbox: an attempt that failed is made again within a lease.
const RETRIES: Backoff = Backoff {
    first: Duration::from_secs(4),
    longest: Duration::from_secs(20),
    seed: 7,
};
const NO_LIMITS: WriteLimits = WriteLimits {
    per_instance: 100_000,
    per_user: 100_000,
};
/// Longer than anything that is leased stays leased.
pub(super) const LEASE: Duration = Duration::from_secs(31);
/// More turns than any scenario takes: it never comes to rest.
const TURNS: usize = 200;

impl World {
    /// Lets a role do something. `None`: it is gone, with all that it held.
    pub(super) async fn drive<T>(&self, role: impl Future<Output = T>) -> Option<T> {
        let cut_off = async {
            match (self.wire(), self.run.trip) {
                (Some(wire), Some(trip)) if trip.fault.takes_the_role() && !wire.is_broken() => {
                    wire.broken().await;
                }
                _ => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.steps.gone() => None,
            () = cut_off => None,
            done = role => Some(done),
        }
    }

    pub(super) fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(StepPublisher {
            queue: Arc::clone(&self.queue),
            steps: Arc::clone(&self.steps),
        })
    }

    /// Works until the queue is empty.
    pub(super) async fn work(&self) {
        for _ in 0..TURNS {
            if self.queue.is_empty() {
                return;
            }
            let mut worker = Worker {
                consumer: Box::new(StepConsumer {
                    inner: Box::new(MemoryConsumer(Arc::clone(&self.queue))),
                    steps: Arc::clone(&self.steps),
                }),
                store: Arc::clone(&self.store),
                sources: self.sources(),
                clock: self.clock(),
                outbox_bells: Vec::new(),
                patience: patience(),
                traces: Traces::default(),
                metrics: WorkerMetrics::default(),
            };
            let never = CancellationToken::new();
            self.drive(async {
                let batch = worker.take().await?;
                worker.process(batch, &never).await
            })
            .await;
        }
        self.fail("the queue is never empty")
    }

    /// Records what the queue gave up on.
    pub(super) async fn drain(&self) {
        for _ in 0..TURNS {
            if !self.queue.has_dead() {
                return;
            }
            let mut drain = DeadLetterDrain {
                letters: Box::new(StepDeadLetters {
                    queue: Arc::clone(&self.queue),
                    steps: Arc::clone(&self.steps),
                }),
                store: Arc::clone(&self.store),
                clock: self.clock(),
                patience: patience(),
                sources: self.sources(),
                metrics: WorkerMetrics::default(),
            };
            let never = CancellationToken::new();
            self.drive(async {
                let batch = drain.take().await?;
                drain.record(batch, &never).await
            })
            .await;
        }
        self.fail("the dead letters never end")
    }

    pub(super) fn scheduler(&self) -> Scheduler {
        Scheduler {
            store: Arc::clone(&self.store),
            publisher: self.publisher(),
            clock: self.clock(),
            backoff: BACKOFF,
        }
    }

    /// Takes up what a pause has put aside.
    pub(super) async fn release(&self) {
        for _ in 0..TURNS {
            let released = self.drive(async { self.scheduler().release().await }).await;
            if let Some(Ok(false)) = released {
                return;
            }
        }
        self.fail("there is always more to release")
    }

    /// Tries again what is to be tried again, until nothing is.
    pub(super) async fn retry(&self) {
        for _ in 0..TURNS {
            self.work().await;
            let Some(due) = self.behind.next_retry_due().await.unwrap() else {
                return;
            };
            self.go_on_until(due);
            self.drive(async { self.scheduler().round().await }).await;
        }
        self.fail("there is always another attempt")
    }

    /// One step of the replays.
    pub(super) async fn replay_once(&self) {
        let replayer = Replayer {
            store: Arc::clone(&self.store),
            publisher: self.publisher(),
            clock: self.clock(),
            backoff: BACKOFF,
        };
        self.drive(async { replayer.step().await }).await;
    }

    /// Replays until no replay runs.
    pub(super) async fn replay(&self) {
        for _ in 0..TURNS {
            self.replay_once().await;
            let moved = !self.queue.is_empty();
            self.work().await;
            if self.behind.running_replays().await.unwrap().is_empty() {
                return;
            }
            if !moved {
                self.clock.advance(LEASE);
            }
        }
        self.fail("the replay never ends")
    }

    pub(super) fn dispatcher(&self, retries: Backoff) -> Dispatcher {
        let clerk = StepClerk {
            clerk: Arc::clone(&self.clerk) as _,
            steps: Arc::clone(&self.steps),
        };
        let store = Arc::clone(&self.store);
        Dispatcher::new(store, Arc::new(clerk), self.clock(), retries, NO_LIMITS)
    }

    /// So many rounds of delivery to Clerk, with the pauses that it asks for.
    pub(super) async fn deliver_rounds(&self, rounds: usize) {
        let never = CancellationToken::new();
        let mut dispatcher = self.dispatcher(RETRIES);
        for _ in 0..rounds {
            match self.drive(dispatcher.round(&never)).await {
                None => dispatcher = self.dispatcher(RETRIES),
                Some(Ok(round)) => self.clock.advance(round.pause.unwrap_or_default()),
                Some(Err(_)) => {}
            }
        }
    }

    /// Delivers until nothing waits.
    pub(super) async fn deliver(&self) {
        for _ in 0..TURNS {
            let due = self.behind.next_outbox_due(&Recipients::All).await.unwrap();
            let Some(due) = due else {
                return;
            };
            self.go_on_until(due);
            self.deliver_rounds(1).await;
        }
        self.fail("there is always something to deliver")
    }

    /// Lets this time come.
    pub(super) fn go_on_until(&self, due: Timestamp) {
        self.clock.set(self.now().max(due));
    }
}

fn patience() -> Patience {
    Patience {
        backoff: BACKOFF,
        hold: Duration::from_secs(3600),
    }
}
