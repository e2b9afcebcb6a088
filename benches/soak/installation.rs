//! What is soaked: the program's own processes, on engines that nobody else uses.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmirror::cli::demo::stand_in_clerk::{self, StandInClerk};
use hookmirror::store::Store;
use hookmirror::store::postgres::PostgresStore;
use hookmirror::store::sqlite::SqliteStore;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::load::{CLERK_SECRET, Failed, Load, STRIPE_SECRET};
use crate::support::lifeline::Lifeline;
use crate::support::postgres::Postgres;
use crate::support::rabbitmq::RabbitMq;

const CLERK_KEY: &str = "sk_test_soak";
const PATIENCE: Duration = Duration::from_secs(60);

/// One process, ended when dropped.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    child: Child,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs: one that has ended is a failure of the run.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The engines behind the processes.
pub(crate) enum Engines {
    /// RabbitMQ and Postgres; its URL.
    Servers {
        _rabbitmq: RabbitMq,
        _postgres: Postgres,
        url: String,
    },
    /// Files in the data directory.
    Embedded,
}

pub(crate) struct Installation {
    // In the order in which they end.
    pub(crate) processes: Vec<Process>,
    _lifeline: Lifeline,
    pub(crate) engines: Engines,
    pub(crate) store: Arc<dyn Store>,
    _clerk: StandInClerk,
    address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    directory: TempDir,
}

impl Installation {
    pub(crate) async fn start(embedded: bool) -> Result<Self, Failed> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let clerk = stand_in_clerk::start(CLERK_KEY.to_owned().into()).await?;
        Load::populate(&clerk);
        let data = directory.path().join("data");
        let mut settings = vec![
            ("HOOKMIRROR_DATA_DIR", data.display().to_string()),
            ("HOOKMIRROR_LISTEN", address.to_string()),
            ("HOOKMIRROR_ADMIN_LISTEN", "off".to_owned()),
            // A line for each event would be a measurement of the log.
            ("HOOKMIRROR_LOG", "warn".to_owned()),
            ("CLERK_WEBHOOK_SIGNING_SECRET", CLERK_SECRET.to_owned()),
            ("STRIPE_WEBHOOK_SECRET", STRIPE_SECRET.to_owned()),
            ("CLERK_SECRET_KEY", CLERK_KEY.to_owned()),
            ("CLERK_API_URL", clerk.api_url()),
            ("CLERK_WRITES_PER_10_SECONDS", "100000".to_owned()),
            ("CLERK_WRITES_PER_USER_PER_10_SECONDS", "10000".to_owned()),
        ];
        let (engines, roles, store): (_, &[&'static str], Arc<dyn Store>) = if embedded {
            std::fs::create_dir_all(&data)?;
            let file = data.join("mirror.db");
            settings.push(("DATABASE_URL", format!("sqlite:{}", file.display())));
            let store = SqliteStore::open(&file).await?;
            (Engines::Embedded, &["run"], Arc::new(store))
        } else {
            let rabbitmq = RabbitMq::start_on_disk();
            let postgres = Postgres::start_on_disk().await;
            // So that what comes round does so within minutes: it would be the same with the
            // defaults, in more time.
            for setting in ["max_wal_size = '256MB'", "autovacuum_naptime = '10s'"] {
                postgres
                    .administer(&format!("ALTER SYSTEM SET {setting}"))
                    .await;
            }
            postgres.administer("SELECT pg_reload_conf()").await;
            let url = postgres.url("postgres");
            settings.push(("DATABASE_URL", url.clone()));
            settings.push(("AMQP_URL", rabbitmq.url().expose_secret().to_owned()));
            let store = PostgresStore::connect(&url)?;
            let engines = Engines::Servers {
                _rabbitmq: rabbitmq,
                _postgres: postgres,
                url,
            };
            (engines, &["serve", "work", "dispatch"], Arc::new(store))
        };
        store.migrate().await?;
        let mut installation = Self {
            processes: Vec::new(),
            _lifeline: Lifeline::new(),
            engines,
            store,
            _clerk: clerk,
            address,
            settings,
            directory,
        };
        for role in roles {
            let process = installation.launch(role)?;
            installation._lifeline.began(process.id());
            installation.processes.push(process);
        }
        installation.until_it_listens().await?;
        Ok(installation)
    }

    fn launch(&self, name: &'static str) -> Result<Process, Failed> {
        let log = File::create(self.directory.path().join(format!("{name}.log")))?;
        let child = self
            .command(&[name])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Process { name, child })
    }

    /// What a process has written.
    fn log(&self, process: &Process) -> String {
        let path = self.directory.path().join(format!("{}.log", process.name));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookmirror"));
        command
            .args(words)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    async fn until_it_listens(&mut self) -> Result<(), Failed> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let all_run = self.processes.iter_mut().all(Process::runs);
            if begun.elapsed() > PATIENCE || !all_run {
                let logs = self.processes.iter().map(|process| self.log(process));
                return Err(format!("nobody listens: {}", logs.collect::<String>()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Where webhooks are received.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it has with whoever sends: how many there are is up to them.
    pub(crate) fn connections(&self) -> std::io::Result<usize> {
        const ESTABLISHED: &str = "01";
        let port = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp")?;
        let is_ours = |line: &&str| {
            let mut words = line.split_whitespace().skip(1);
            let local = words.next().is_some_and(|local| local.ends_with(&port));
            local && words.nth(1) == Some(ESTABLISHED)
        };
        Ok(table.lines().filter(is_ours).count())
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// How many messages are queued, as `events stats` tells.
    pub(crate) async fn queued(&self) -> Result<u64, Failed> {
        let mut command = self.command(&["events", "stats", "--json"]);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`events stats` failed: {}", said.trim()).into());
        }
        let stats: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let messages = stats["queue"]["messages"].as_u64();
        messages.ok_or_else(|| "the queue's depth is not known".into())
    }
}

pub(crate) fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
