//! The dispatcher, with a real database, a Clerk in memory and a clock that is set by hand.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::model::outbox::{DeliveryState, OutboxEntry};
use hookmirror::model::user::UserId;
use hookmirror::outbox::{Dispatcher, Round, WriteLimits};
use hookmirror::store::{Store, StoreError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::clerk::FakeClerk;
use crate::support::clock::ManualClock;
use crate::support::database::{self, Database};
use crate::support::faults::{Faults, FaultyStore};
use crate::support::given::{at, record, session_of, unpaid, user_id};

mod answers;
mod budgets;
mod interrupted;
mod refused_key;
mod running;
mod throughput;

const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(4),
    longest: Duration::from_secs(600),
    seed: 7,
};

/// More than any test needs that is not about limits.
const NO_LIMITS: WriteLimits = WriteLimits {
    per_instance: 100_000,
    per_user: 100_000,
};

/// A dispatcher and all that it works with.
struct Bench {
    clerk: Arc<FakeClerk>,
    clock: Arc<ManualClock>,
    faults: Arc<Faults>,
    store: Arc<FaultyStore>,
    dispatcher: Dispatcher,
    _database: Database,
}

impl Bench {
    async fn new() -> Self {
        let database = database::sqlite().await;
        let faults = Faults::new();
        let store = Arc::new(FaultyStore {
            inner: Arc::clone(&database.store),
            faults: Arc::clone(&faults),
        });
        let clerk = Arc::new(FakeClerk::default());
        let clock = Arc::new(ManualClock::new(at(0)));
        Self {
            dispatcher: dispatcher(&store, &clerk, &clock, BACKOFF, NO_LIMITS),
            clerk,
            clock,
            faults,
            store,
            _database: database,
        }
    }

    /// Another dispatcher of the same outbox.
    fn another(&self, backoff: Backoff, limits: WriteLimits) -> Dispatcher {
        dispatcher(&self.store, &self.clerk, &self.clock, backoff, limits)
    }

    /// Another one, for which time goes by itself.
    fn on_clock(&self, clock: Arc<dyn Clock>, backoff: Backoff, limits: WriteLimits) -> Dispatcher {
        let store: Arc<FaultyStore> = Arc::clone(&self.store);
        Dispatcher::new(store, Arc::clone(&self.clerk) as _, clock, backoff, limits)
    }

    /// Makes something due for each of these users, in this order.
    async fn paid(&self, users: &[&str]) {
        for user in users {
            let event = format!("evt_{user}");
            let session = session_of(&format!("cs_{user}"), user);
            let batch = [record(&event, session)];
            self.store.apply(&batch, self.clock.now()).await.unwrap();
            self.clock.advance(Duration::from_millis(1));
        }
    }

    /// The same, before the money has come.
    async fn unpaid(&self, user: &str) {
        let session = unpaid(session_of(&format!("cs_{user}"), user));
        let batch = [record(&format!("evt_unpaid_{user}"), session)];
        self.store.apply(&batch, self.clock.now()).await.unwrap();
    }

    async fn try_round(&self) -> Result<Round, StoreError> {
        self.dispatcher.round(&CancellationToken::new()).await
    }

    async fn round(&self) -> Round {
        self.try_round().await.unwrap()
    }

    async fn entry(&self, user: &str) -> OutboxEntry {
        let report = self.store.find_user(&user_id(user)).await.unwrap();
        report.unwrap().outbox.unwrap()
    }

    async fn state(&self, user: &str) -> DeliveryState {
        self.entry(user).await.state
    }

    /// How many calls were made for this user.
    fn calls_for(&self, user: &str) -> usize {
        let user = user_id(user);
        let calls = self.clerk.calls();
        calls.iter().filter(|called| **called == user).count()
    }

    fn stripe(&self, user: &UserId) -> Value {
        self.clerk.metadata(user)["stripe"].clone()
    }

    /// Moves the clock to where the next entry falls due.
    async fn jump_to_next_due(&self) {
        let due = self.store.next_outbox_due().await.unwrap();
        self.clock.set(due.unwrap());
    }
}

fn dispatcher(
    store: &Arc<FaultyStore>,
    clerk: &Arc<FakeClerk>,
    clock: &Arc<ManualClock>,
    backoff: Backoff,
    limits: WriteLimits,
) -> Dispatcher {
    let store: Arc<FaultyStore> = Arc::clone(store);
    let (clerk, clock) = (Arc::clone(clerk), Arc::clone(clock));
    Dispatcher::new(store, clerk, clock, backoff, limits)
}

fn metadata(payment: &str, paid: bool) -> Value {
    json!({"status": "complete", "payment": payment, "paid": paid})
}
