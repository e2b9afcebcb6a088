//! Real processes on real engines: RabbitMQ and Postgres of their own for each test, which the tests
//! kill, stop and start again.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::cli::demo::stand_in_clerk::{self, StandInClerk};
use hookmirror::queue::rabbitmq::{RabbitQueue, Settings, Topology};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, Row};

use crate::cli::process::{CLERK_KEY, Home, Patience, Running, wait_until};
use crate::cli::reference::Reference;
use crate::support::postgres::Postgres;
use crate::support::rabbitmq::RabbitMq;

mod acknowledged;
mod outages;
mod pauses;
mod poison;
mod replays;
mod spool;
mod story;
mod traces;

/// One installation on engines of its own.
struct Fleet {
    rabbitmq: RabbitMq,
    postgres: Postgres,
    clerk: Arc<StandInClerk>,
    /// The settings of all processes; the one that receives webhooks has its data directory there.
    home: Home,
}

impl Fleet {
    async fn new() -> Self {
        let rabbitmq = RabbitMq::start();
        let postgres = Postgres::start().await;
        let clerk = stand_in_clerk::start(CLERK_KEY.to_owned().into())
            .await
            .unwrap();
        let home = Home::new()
            .with("AMQP_URL", rabbitmq.url().expose_secret())
            .with("DATABASE_URL", &postgres.url("postgres"))
            .with("CLERK_SECRET_KEY", CLERK_KEY)
            .with("CLERK_WRITES_PER_10_SECONDS", "100000")
            .with("CLERK_API_URL", &clerk.api_url());
        Self {
            rabbitmq,
            postgres,
            clerk: Arc::new(clerk),
            home,
        }
    }

    /// Starts a process of one role that does not listen, and waits until it is ready.
    fn start(&self, role: &str) -> Running {
        let running = self.home.start([role]);
        wait_until("a role is ready", || running.stderr().contains("ready: "));
        running
    }

    /// `kill -9`, once the queues are on its disk: this version of RabbitMQ writes the list of them
    /// some seconds after they were declared.
    async fn kill_rabbitmq(&self) {
        self.rabbitmq.write_down_queues().await;
        self.rabbitmq.kill();
    }

    /// Messages that no worker has in hand.
    async fn waiting_at_the_broker(&self) -> u32 {
        let backoff = Backoff {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(10),
            seed: 7,
        };
        let (url, topology) = (self.rabbitmq.url(), Topology::default());
        let queue = RabbitQueue::new(&url, topology, Settings::default(), backoff).unwrap();
        queue.check().await.unwrap().work
    }

    async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.postgres.url("postgres"))
            .await
            .unwrap()
    }

    /// One figure from the database; `None` while it cannot be asked.
    async fn count(&self, sql: &'static str) -> Option<i64> {
        let url = self.postgres.url("postgres");
        let mut connection = PgConnection::connect(&url).await.ok()?;
        let row = sqlx::query(sql).fetch_one(&mut connection).await.ok()?;
        Some(row.get(0))
    }

    /// Waits until so many events are in the ledger.
    async fn recorded(&self, events: i64) {
        let mut patience = Patience::new();
        while self.count("SELECT COUNT(*) FROM events").await < Some(events) {
            patience.look_again().await;
        }
    }

    /// Waits until every event of the reference is in the ledger, nothing is queued, and nothing is
    /// on its way to Clerk.
    async fn come_to_rest(&self, reference: &Reference) {
        self.recorded(i64::try_from(reference.events.len()).unwrap())
            .await;
        // What could not be reported while the database was away stays leased for a minute: it passes.
        let mut database = self.database().await;
        sqlx::query(
            "UPDATE outbox SET leased_until = now(), next_attempt_at = now() \
             WHERE state = 'pending' AND leased_until IS NOT NULL",
        )
        .execute(&mut database)
        .await
        .unwrap();
        let mut patience = Patience::new();
        loop {
            let stats = self.home.json(["events", "stats", "--json"]);
            let pending = self
                .count("SELECT COUNT(*) FROM outbox WHERE state = 'pending'")
                .await;
            if stats["queue"]["messages"] == 0 && pending == Some(0) {
                return;
            }
            patience.look_again().await;
        }
    }

    /// Compares ledger, mirror and Clerk with what they must be; no event may have failed.
    async fn check(&self, reference: &Reference) {
        reference
            .check_on_postgres(&self.home, &self.postgres.url("postgres"), &self.clerk)
            .await;
        let mut database = self.database().await;
        let failed = sqlx::query("SELECT event_id, last_error FROM events WHERE state = 'failed'")
            .fetch_all(&mut database)
            .await
            .unwrap();
        let failed: Vec<(String, String)> =
            failed.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(failed, [], "no event is to blame");
    }
}
