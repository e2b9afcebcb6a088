//! Many checkouts at once, a Clerk that is strict about its limits, and real HTTP in between. The clock
//! is set by hand: a minute of Clerk's takes a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookmirror::clerk_api::http::HttpClerkApi;
use hookmirror::clock::Clock;
use hookmirror::model::payment::PaymentStatus;
use hookmirror::outbox::{Dispatcher, WriteLimits};
use tokio_util::sync::CancellationToken;

use super::{BACKOFF, metadata};
use crate::support::clerk::FakeClerk;
use crate::support::clerk::limits::StrictLimits;
use crate::support::clerk::server::ClerkServer;
use crate::support::clock::ManualClock;
use crate::support::database::{self, Database};
use crate::support::given::{at, opened, record, session_of, user_id};

const KEY: &str = "sk_test_throughput";

/// What a run came to.
struct Figures {
    requests: usize,
    throttled: usize,
    /// How long it took, by the clock of the test.
    took: Duration,
}

impl Figures {
    fn share_used(&self, per_window: u32) -> f64 {
        let allowed = f64::from(per_window) * self.took.as_secs_f64() / 10.0;
        (self.requests - self.throttled) as f64 / allowed
    }
}

struct Scene {
    clerk: Arc<FakeClerk>,
    clock: Arc<ManualClock>,
    dispatcher: Dispatcher,
    database: Database,
    _server: ClerkServer,
}

impl Scene {
    /// Clerk and we agree about the limits.
    async fn new(per_instance: u32) -> Self {
        let database = database::sqlite().await;
        let clock = Arc::new(ManualClock::new(at(0)));
        let limits = StrictLimits::new(&clock, per_instance as usize, 10);
        let clerk = Arc::new(FakeClerk::limited(limits));
        let server = ClerkServer::start(Arc::clone(&clerk), KEY).await;
        let api = HttpClerkApi::new(&server.api_url(), KEY.into()).unwrap();
        let limits = WriteLimits {
            per_instance,
            per_user: 10,
        };
        let dispatcher = Dispatcher::new(
            Arc::clone(&database.store),
            Arc::new(api),
            Arc::clone(&clock) as Arc<dyn Clock>,
            BACKOFF,
            limits,
        );
        Self {
            clerk,
            clock,
            dispatcher,
            database,
            _server: server,
        }
    }

    async fn pay(&self, users: usize) {
        let batch: Vec<_> = (0..users)
            .map(|number| {
                let session = session_of(&format!("cs_{number}"), &format!("user_{number}"));
                record(&format!("evt_{number}"), session)
            })
            .collect();
        let now = self.clock.now();
        self.database.store.apply(&batch, now).await.unwrap();
    }

    /// One round; answers how long to wait for the next, and whether there was nothing to do.
    async fn step(&self) -> (Duration, bool) {
        let round = self.dispatcher.round(&CancellationToken::new()).await;
        let round = round.unwrap();
        let is_idle = round.leased == 0 && round.pause.is_none();
        (round.pause.unwrap_or_default(), is_idle)
    }

    /// Goes on until all is delivered.
    async fn deliver_all(&self) -> Figures {
        let start = self.clock.now();
        while !self.database.store.undelivered(1).await.unwrap().is_empty() {
            let (pause, is_idle) = self.step().await;
            let idle = Duration::from_millis(u64::from(is_idle) * 10);
            self.clock.advance(pause.max(idle));
        }
        self.figures(self.clock.now().since(start))
    }

    fn figures(&self, took: Duration) -> Figures {
        Figures {
            requests: self.clerk.calls().len(),
            throttled: self.clerk.throttled(),
            took,
        }
    }
}

async fn checkouts(users: usize, per_instance: u32) {
    let scene = Scene::new(per_instance).await;
    scene.pay(users).await;
    let figures = scene.deliver_all().await;
    for number in 0..users {
        let user = user_id(&format!("user_{number}"));
        assert_eq!(
            scene.clerk.metadata(&user)["stripe"],
            metadata("paid", true)
        );
    }
    let Figures {
        requests,
        throttled,
        took,
    } = figures;
    let used = figures.share_used(per_instance);
    println!("{requests} requests, {throttled} throttled, {took:?}, {used:.3} of the budget");
    assert!(throttled * 100 <= requests, "{throttled} of {requests}");
    assert_eq!(requests - throttled, users, "nobody is told twice");
    assert!(used >= 0.9, "{used} of the budget is used");
}

#[tokio::test]
async fn five_hundred_checkouts_of_a_production_instance() {
    checkouts(500, 1000).await;
}

/// More than one window takes, so that a budget that is too large is found out.
#[tokio::test]
async fn twelve_hundred_checkouts_of_a_production_instance() {
    checkouts(1200, 1000).await;
}

#[tokio::test]
async fn five_hundred_checkouts_of_a_development_instance() {
    checkouts(500, 100).await;
}

/// Some users change four times a second for half a minute while others pay.
#[tokio::test]
async fn hot_users_are_right_in_the_end_and_hold_nobody_up() {
    let scene = Scene::new(1000).await;
    let hot: Vec<String> = (0..3).map(|number| format!("user_hot_{number}")).collect();
    let start = scene.clock.now();
    let mut delivered_late = BTreeMap::new();
    for n in 0..120 {
        let mut batch = Vec::new();
        for user in &hot {
            let mut session = opened(n, session_of(&format!("cs_{user}_{n}"), user));
            if n % 2 == 0 {
                session.payment = PaymentStatus::NoPaymentRequired;
            }
            batch.push(record(&format!("evt_{user}_{n}"), session));
        }
        let other = format!("user_{n}");
        let session = session_of(&format!("cs_{n}"), &other);
        batch.push(record(&format!("evt_{n}"), session));
        let now = scene.clock.now();
        scene.database.store.apply(&batch, now).await.unwrap();
        let next = start.plus(Duration::from_millis(250 * (n as u64 + 1)));
        while scene.clock.now() < next {
            let (pause, _) = scene.step().await;
            let wait = pause.max(Duration::from_millis(10));
            scene.clock.advance(wait.min(next.since(scene.clock.now())));
        }
        if scene.clerk.metadata(&user_id(&other)) == serde_json::json!({}) {
            delivered_late.insert(other, n);
        }
    }
    assert_eq!(delivered_late, BTreeMap::new());
    let figures = scene.deliver_all().await;
    for user in &hot {
        assert_eq!(
            scene.clerk.metadata(&user_id(user))["stripe"],
            metadata("paid", true),
            "the last change"
        );
    }
    let Figures {
        requests,
        throttled,
        ..
    } = figures;
    println!("{requests} requests, {throttled} throttled");
    assert!(throttled * 100 <= requests, "{throttled} of {requests}");
}
