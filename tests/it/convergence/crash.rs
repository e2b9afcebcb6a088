//! Crashes: any call at a seam may be the last thing a process does. And stalls: a call to Clerk may
//! take so long that the world changes meanwhile.
//!
//! The calls of a run are counted across all seams. A call that the plan names never returns: the
//! plan announces the crash and the harness drops the role with everything that it holds. `Before`
//! crashes leave no effect; `After` crashes leave the effect and lose the answer.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hookmirror::clerk_api::{ClerkApi, ClerkApiError};
use hookmirror::cli::demo::clerk_rules::merged;
use hookmirror::model::changes::Planned;
use hookmirror::model::event::Event;
use hookmirror::model::trace::TraceContext;
use hookmirror::model::user::UserId;
use hookmirror::queue::{
    Batch, Confirmed, ConsumeError, Consumer, Delivery, PublishError, Publisher, Readiness,
};
use hookmirror::store::StoreError;
use serde_json::Value;
use tokio::sync::Notify;

use super::history::Told;
use crate::support::faulty_store::{Around, StoreCall};

/// Where in a call the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum When {
    Before,
    After,
}

/// Which calls never return, and which calls to Clerk take long.
#[derive(Debug)]
pub(super) struct CrashPlan {
    crashes: BTreeSet<(usize, When)>,
    calls: AtomicUsize,
    crashed: Notify,
    stalls: BTreeSet<(usize, When)>,
    clerk_calls: AtomicUsize,
    stalled: Notify,
    go_on: Notify,
    /// Calls to the store that have begun and not ended.
    under_way: AtomicUsize,
    ended: Notify,
    told: Told,
}

impl CrashPlan {
    pub(super) fn new(
        crashes: BTreeSet<(usize, When)>,
        stalls: BTreeSet<(usize, When)>,
        told: Told,
    ) -> Arc<Self> {
        Arc::new(Self {
            crashes,
            calls: AtomicUsize::new(0),
            crashed: Notify::new(),
            stalls,
            clerk_calls: AtomicUsize::new(0),
            stalled: Notify::new(),
            go_on: Notify::new(),
            under_way: AtomicUsize::new(0),
            ended: Notify::new(),
            told,
        })
    }

    /// Resolves when a call to Clerk stalls and nothing else of its role is under way: a role that is
    /// left alone half-way through a transaction would keep the database to itself.
    pub(super) async fn stalled(&self) {
        self.stalled.notified().await;
        while self.under_way.load(Ordering::Relaxed) > 0 {
            self.ended.notified().await;
        }
    }

    async fn in_store<T>(&self, effect: impl Future<Output = T>) -> T {
        self.around(async {
            let _under_way = UnderWay::begin(self);
            effect.await
        })
        .await
    }

    /// Lets every stalled call go on.
    pub(super) fn go_on(&self) {
        self.go_on.notify_waiters();
    }

    async fn stall_if_planned(&self, call: usize, when: When) {
        if self.stalls.contains(&(call, when)) {
            let go_on = self.go_on.notified();
            self.stalled.notify_one();
            go_on.await;
        }
    }

    /// Resolves at the next crash.
    pub(super) async fn crashed(&self) {
        self.crashed.notified().await;
    }

    async fn around<T>(&self, effect: impl Future<Output = T>) -> T {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.crashes.contains(&(call, When::Before)) {
            self.crash().await;
        }
        let result = effect.await;
        if self.crashes.contains(&(call, When::After)) {
            self.crash().await;
        }
        result
    }

    async fn crash(&self) -> ! {
        self.crashed.notify_one();
        std::future::pending().await
    }
}

struct UnderWay<'a>(&'a CrashPlan);

impl<'a> UnderWay<'a> {
    fn begin(plan: &'a CrashPlan) -> Self {
        plan.under_way.fetch_add(1, Ordering::Relaxed);
        Self(plan)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_one();
    }
}

/// A queue in memory that hands out batches of planned sizes and redelivers what is not
/// acknowledged.
#[derive(Debug)]
pub(super) struct MemoryQueue {
    messages: Mutex<Messages>,
    sizes: Vec<usize>,
}

#[derive(Debug, Default)]
struct Messages {
    waiting: Vec<Event>,
    taken: usize,
}

impl MemoryQueue {
    pub(super) fn new(events: Vec<Event>, sizes: Vec<usize>) -> Arc<Self> {
        Arc::new(Self {
            messages: Mutex::new(Messages {
                waiting: events,
                taken: 0,
            }),
            sizes,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.lock().unwrap().waiting.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct CrashingConsumer {
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) plan: Arc<CrashPlan>,
}

#[async_trait]
impl Consumer for CrashingConsumer {
    async fn take(&mut self, max: usize) -> Result<Batch, ConsumeError> {
        self.plan
            .around(async {
                let mut messages = self.queue.messages.lock().unwrap();
                let size = self.queue.sizes[messages.taken % self.queue.sizes.len()];
                messages.taken += 1;
                let size = size.min(max).min(messages.waiting.len());
                let events: Vec<Event> = messages.waiting.drain(..size).collect();
                Ok(Batch {
                    delivery: Box::new(CrashingDelivery {
                        unsettled: events.clone(),
                        queue: Arc::clone(&self.queue),
                        plan: Arc::clone(&self.plan),
                    }),
                    events,
                })
            })
            .await
    }
}

#[derive(Debug)]
struct CrashingDelivery {
    unsettled: Vec<Event>,
    queue: Arc<MemoryQueue>,
    plan: Arc<CrashPlan>,
}

#[async_trait]
impl Delivery for CrashingDelivery {
    async fn ack(mut self: Box<Self>) -> Result<(), ConsumeError> {
        let plan = Arc::clone(&self.plan);
        plan.around(async {
            self.unsettled.clear();
            Ok(())
        })
        .await
    }

    fn give_back(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for CrashingDelivery {
    fn drop(&mut self) {
        // At the end of the line: redelivery changes the order as well.
        let unsettled = self.unsettled.drain(..);
        self.queue
            .messages
            .lock()
            .unwrap()
            .waiting
            .extend(unsettled);
    }
}

/// Clerk, as far as metadata goes. Knows only some users.
#[derive(Debug, Default)]
pub(crate) struct FakeClerk(Mutex<std::collections::BTreeMap<String, Value>>);

impl FakeClerk {
    pub(crate) fn knowing(users: impl IntoIterator<Item = String>) -> Arc<Self> {
        let users = users
            .into_iter()
            .map(|user| (user, Value::Object(serde_json::Map::new())))
            .collect();
        Arc::new(Self(Mutex::new(users)))
    }

    pub(crate) fn merge(
        &self,
        user: &UserId,
        public_metadata: &Value,
    ) -> Result<(), ClerkApiError> {
        let mut users = self.0.lock().unwrap();
        let Some(metadata) = users.get_mut(user.as_str()) else {
            return Err(ClerkApiError::Answered {
                status: 404,
                code: "resource_not_found".to_owned(),
                retry_after: None,
            });
        };
        *metadata = merged(metadata.take(), public_metadata);
        Ok(())
    }

    pub(crate) fn metadata(&self) -> std::collections::BTreeMap<String, Value> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug)]
pub(super) struct CrashingClerk {
    pub(super) clerk: Arc<FakeClerk>,
    pub(super) plan: Arc<CrashPlan>,
}

#[async_trait]
impl ClerkApi for CrashingClerk {
    async fn merge_public_metadata(
        &self,
        user: &UserId,
        public_metadata: &Value,
        _trace: Option<TraceContext>,
    ) -> Result<(), ClerkApiError> {
        let call = self.plan.clerk_calls.fetch_add(1, Ordering::Relaxed);
        self.plan.stall_if_planned(call, When::Before).await;
        let result = self
            .plan
            .around(async { self.clerk.merge(user, public_metadata) })
            .await;
        self.plan.stall_if_planned(call, When::After).await;
        result
    }
}

/// The calls of the real store that change something may be the last.
impl Around for Arc<CrashPlan> {
    async fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match call {
            StoreCall::Ping | StoreCall::Sweep(_) | StoreCall::Other(_) => work.await,
            _ => self.in_store(work).await,
        }
    }

    fn instead_of<'b>(&self, batch: &'b [Planned]) -> Cow<'b, [Planned]> {
        let mut batch = batch.to_vec();
        for planned in &mut batch {
            self.told.correct(planned);
        }
        Cow::Owned(batch)
    }
}

/// The same queue, for whoever publishes.
#[derive(Debug)]
pub(super) struct CrashingPublisher {
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) plan: Arc<CrashPlan>,
}

#[async_trait]
impl Publisher for CrashingPublisher {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        self.plan
            .around(async {
                self.queue.messages.lock().unwrap().waiting.push(event);
                Ok(Confirmed::by_stable_storage())
            })
            .await
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        Ok(Readiness::Ready)
    }
}
