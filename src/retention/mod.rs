//! Lets go of what was kept for long enough: payloads, events, and what is stored about deleted users.
//!
//! Actors: a [`Sweeper`] in each process that works, the [`Store`] that knows what is due. A sweep goes
//! in steps of a few hundred events, each a transaction of its own, with a pause between them in which
//! live traffic has the database to itself.
//!
//! Guaranteed: nothing goes before its time by this machine's clock, and nothing unfinished goes
//! because it is old. A sweep that is cut off anywhere, by a crash or a stop, has done whole steps,
//! and the next one goes on. Several at once do each other no harm. What each did is one line in
//! `operator_actions`, by `hookmirror`. NOT guaranteed: that something goes on time. Sweeps are an hour
//! apart, and nothing goes while no process works or the database is away.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, Outage};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::model::operator::{Mode, Operator, OperatorAction, Reason};
use crate::model::retention::{RetentionPolicy, Step};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// Events in one step.
const STEP: u32 = 500;
/// Between two steps.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two sweeps.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Sweeps at its start, and every hour.
#[derive(Debug)]
pub struct Sweeper {
    /// What is swept.
    pub store: Arc<dyn Store>,
    /// How long things are kept.
    pub policy: RetentionPolicy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long to wait while the database is away.
    pub backoff: Backoff,
}

/// What one sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Payloads erased, as they were about a deleted user.
    pub erased: u64,
    /// Payloads pruned, as they were old.
    pub pruned: u64,
    /// Events deleted, as they were old.
    pub deleted: u64,
}

/// One kind of thing to do.
#[derive(Clone, Copy, Debug)]
enum Duty {
    Erase,
    Prune,
    Delete,
}

impl Sweeper {
    /// Works until `stop`, finishing the step in hand.
    pub async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::new(self.backoff);
        while !stop.is_cancelled() {
            let pause = match self.sweep(&stop).await {
                Ok(_) => {
                    if outage.end() {
                        tracing::info!("what was kept for long enough goes again");
                    }
                    INTERVAL
                }
                Err(error) => {
                    let wait = outage.failed();
                    if outage.has_just_begun() {
                        tracing::warn!(
                            error = %ErrorChain(&error),
                            "what was kept for long enough has to stay for now"
                        );
                    }
                    wait
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Sweeps once, until nothing is due or `stop` comes.
    ///
    /// # Errors
    ///
    /// When the database is away. The steps before that are done.
    pub async fn sweep(&self, stop: &CancellationToken) -> Result<Swept, StoreError> {
        let swept = Swept {
            erased: self.fulfil(Duty::Erase, self.policy.deleted, stop).await?,
            deleted: self.fulfil(Duty::Delete, self.policy.events, stop).await?,
            pruned: self.fulfil(Duty::Prune, self.policy.payloads, stop).await?,
        };
        if swept != Swept::default() {
            let Swept {
                erased,
                pruned,
                deleted,
            } = swept;
            tracing::info!(
                erased,
                pruned,
                deleted,
                "let go: {erased} payloads about deleted users, {pruned} old payloads, {deleted} old events"
            );
        }
        // Always: what somebody erased by hand, or readers were in the way of, may still be there.
        self.store.clear_traces().await?;
        Ok(swept)
    }

    async fn fulfil(
        &self,
        duty: Duty,
        kept_for: Option<Duration>,
        stop: &CancellationToken,
    ) -> Result<u64, StoreError> {
        let Some(kept_for) = kept_for else {
            return Ok(0);
        };
        // The same for the whole sweep, so that it ends.
        let due = self.clock.now().minus(kept_for);
        let Some(action) = duty.action(due, kept_for) else {
            return Ok(0);
        };
        let mut done = 0;
        let mut recorded_as = None;
        while !stop.is_cancelled() {
            let step = self.step(duty, due, &action, recorded_as).await?;
            done += step.events;
            recorded_as = step.recorded_as;
            if !step.more {
                break;
            }
            stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
        Ok(done)
    }

    async fn step(
        &self,
        duty: Duty,
        due: Timestamp,
        action: &OperatorAction,
        recorded_as: Option<i64>,
    ) -> Result<Step, StoreError> {
        let (store, now) = (&self.store, self.clock.now());
        match duty {
            Duty::Erase => {
                store
                    .erase_deleted(due, STEP, action, recorded_as, now)
                    .await
            }
            Duty::Prune => {
                store
                    .prune_payloads(due, STEP, action, recorded_as, now)
                    .await
            }
            Duty::Delete => {
                store
                    .delete_events(due, STEP, action, recorded_as, now)
                    .await
            }
        }
    }
}

impl Duty {
    fn action(self, due: Timestamp, kept_for: Duration) -> Option<OperatorAction> {
        let days = kept_for.as_secs() / 86_400;
        let (action, target, reason): (_, Value, _) = match self {
            Self::Erase => (
                "retention erase",
                json!({ "deleted_by": due }),
                format!("payloads about a user go {days} days after the deletion"),
            ),
            Self::Prune => (
                "retention prune",
                json!({ "received_before": due }),
                format!("payloads are kept for {days} days"),
            ),
            Self::Delete => (
                "retention delete",
                json!({ "received_before": due }),
                format!("events are kept for {days} days"),
            ),
        };
        Some(OperatorAction {
            operator: Operator::parse("hookmirror")?,
            action,
            target,
            mode: Mode::Execute(Reason::parse(&reason)?),
        })
    }
}
