//! The installation: five processes, their engines, Clerk, and a wire for whoever talks to whom.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use super::disk::Disk;
use super::processes::{Process, supervise};
use crate::cli::process::{CLERK_KEY, Home, Patience, free_address};
use crate::support::clerk::FakeClerk;
use crate::support::clerk::server::ClerkServer;
use crate::support::lifeline::Lifeline;
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::rabbitmq::RabbitMq;

/// What the first ingress may keep while RabbitMQ is away: some seconds' worth.
const SPOOL_MAX_BYTES: &str = "500000";

/// A wire, and whom it connects.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) proxy: Proxy,
}

pub(super) struct World {
    /// Two `serve`, two `work`, `dispatch`.
    pub(super) processes: Vec<Arc<Process>>,
    pub(super) lines: Vec<Line>,
    pub(super) rabbitmq: RabbitMq,
    pub(super) postgres: AsyncMutex<Postgres>,
    pub(super) clerk: Arc<FakeClerk>,
    /// For looking: it has no wires.
    pub(super) home: Home,
    pub(super) database: String,
    supervisor: JoinHandle<()>,
    _clerk_server: ClerkServer,
}

/// Where things are in the lists of the world.
pub(super) const FIRST_SERVE: usize = 0;
pub(super) const SECOND_SERVE: usize = 1;
pub(super) const PROCESSES: usize = 5;
/// The wires from the two `serve` to RabbitMQ.
pub(super) const TO_BROKER: [usize; 2] = [2, 3];
pub(super) const LINES: usize = 10;

impl World {
    /// Everything runs, and is ready.
    pub(super) async fn start() -> Self {
        let rabbitmq = RabbitMq::start_on_disk();
        let postgres = Postgres::start_on_disk().await;
        let clerk = Arc::new(FakeClerk::default());
        let clerk_server = ClerkServer::start(Arc::clone(&clerk), CLERK_KEY).await;
        let database = postgres.url("postgres");
        let broker = || rabbitmq.address();
        let mut lines = Vec::new();
        let mut line = async |name, server| {
            let proxy = Proxy::at(free_address(), server).await;
            let port = proxy.port();
            lines.push(Line { name, proxy });
            port
        };

        let homes = [(); PROCESSES].map(|()| Home::new());
        let [serve_1, serve_2, work_1, work_2, dispatch] =
            homes.map(|home| home.with("HOOKMIRROR_LOG", "warn,hookmirror::cli=info"));
        let door = |home: &Home| ("127.0.0.1", home.address.port());
        line("sender to serve-1", door(&serve_1)).await;
        line("sender to serve-2", door(&serve_2)).await;
        let amqp = |port| rabbitmq.url_through(port).expose_secret().to_owned();
        let sql = |port| Postgres::url_through(port, "postgres");
        let serve_1 = serve_1
            .with(
                "AMQP_URL",
                &amqp(line("serve-1 to RabbitMQ", broker()).await),
            )
            .with("HOOKMIRROR_SPOOL_MAX_BYTES", SPOOL_MAX_BYTES);
        let serve_2 = serve_2.with(
            "AMQP_URL",
            &amqp(line("serve-2 to RabbitMQ", broker()).await),
        );
        let server = postgres.address();
        let work_1 = work_1
            .with(
                "AMQP_URL",
                &amqp(line("work-1 to RabbitMQ", broker()).await),
            )
            .with(
                "DATABASE_URL",
                &sql(line("work-1 to Postgres", server).await),
            );
        let work_2 = work_2
            .with(
                "AMQP_URL",
                &amqp(line("work-2 to RabbitMQ", broker()).await),
            )
            .with(
                "DATABASE_URL",
                &sql(line("work-2 to Postgres", server).await),
            );
        let port = line("dispatch to Clerk", clerk_server.address()).await;
        let dispatch = dispatch
            .with(
                "DATABASE_URL",
                &sql(line("dispatch to Postgres", server).await),
            )
            .with("CLERK_SECRET_KEY", CLERK_KEY)
            .with("CLERK_WRITES_PER_10_SECONDS", "100000")
            .with("CLERK_API_URL", &format!("http://127.0.0.1:{port}/v1"));
        assert_eq!(lines.len(), LINES);

        std::fs::create_dir(serve_2.data_dir()).unwrap();
        let disk = Disk::mount(&serve_2.data_dir());
        let lifeline = Arc::new(Mutex::new(Lifeline::new()));
        let start = |name, role, home, disk| Process::start(name, role, home, disk, &lifeline);
        let processes = vec![
            start("serve-1", "serve", serve_1, None),
            start("serve-2", "serve", serve_2, disk),
            start("work-1", "work", work_1, None),
            start("work-2", "work", work_2, None),
            start("dispatch", "dispatch", dispatch, None),
        ];
        let home = Home::new()
            .with("AMQP_URL", rabbitmq.url().expose_secret())
            .with("DATABASE_URL", &database);
        let supervisor = supervise(processes.clone());
        let world = Self {
            processes,
            lines,
            rabbitmq,
            postgres: AsyncMutex::new(postgres),
            clerk,
            home,
            database,
            supervisor,
            _clerk_server: clerk_server,
        };
        let mut patience = Patience::new();
        while !world.processes.iter().all(|process| process.is_ready()) {
            patience.look_again().await;
        }
        world.rabbitmq.write_down_queues().await;
        world
    }

    /// The ports at which the sender finds the two `serve`.
    pub(super) fn doors(&self) -> [u16; 2] {
        [0, 1].map(|place| self.lines[place].proxy.port())
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.processes.iter().map(|process| process.name).collect()
    }

    /// Whether nothing waits in a spool; a `serve` that does not answer may have something.
    pub(super) fn spools_are_empty(&self) -> bool {
        let mut serves = self.processes[..=SECOND_SERVE].iter();
        serves.all(|serve| {
            let answer = serve.home.ask_readiness();
            answer.is_ok_and(|answer| answer.contains(" 200 ") && !answer.contains("degraded"))
        })
    }

    /// Gives everyone who waits for a lease that nobody holds any more the time for it.
    pub(super) const PATIENCE: Duration = Duration::from_secs(90);
}

impl Drop for World {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}
