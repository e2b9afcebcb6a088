//! Installations of their own, and the processes that are started in them.
//!
//! Whatever a process writes is searched for the secrets of its installation: every test of the
//! commands is a test that they keep secrets to themselves.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use tempfile::TempDir;

/// What must never be printed. The secrets below are valid, and made of these.
const MARKERS: [&str; 3] = ["TUFSS0VS", "stripeMARKER", "sk_test_MARKER"];
pub(crate) const SECRETS: [(&str, &str); 2] = [
    (
        "CLERK_WEBHOOK_SIGNING_SECRET",
        "whsec_TUFSS0VSTUFSS0VSTUFSS0VSTUFSS0VS",
    ),
    ("STRIPE_WEBHOOK_SECRET", "whsec_stripeMARKERstripeMARKER"),
];
pub(crate) const CLERK_KEY: &str = "sk_test_MARKERthatNobodyMaySee";

/// Far more than anything takes, far less than anyone would wait.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A directory, settings, and the address of one installation.
pub(crate) struct Home {
    directory: TempDir,
    variables: Vec<(String, String)>,
    pub(crate) address: SocketAddr,
}

impl Home {
    /// Secrets, a data directory, a database, and an address at which nothing listens.
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let address = free_address();
        let data = directory.path().join("data");
        let database = format!("sqlite:{}", data.join("mirror.db").display());
        let home = Self {
            directory,
            variables: Vec::new(),
            address,
        };
        SECRETS.into_iter().fold(
            home.with("HOOKMIRROR_DATA_DIR", data.to_str().unwrap())
                .with("DATABASE_URL", &database)
                .with("HOOKMIRROR_LISTEN", &address.to_string())
                // Many run at the same time, and the default is one address.
                .with("HOOKMIRROR_ADMIN_LISTEN", "off"),
            |home, (name, value)| home.with(name, value),
        )
    }

    /// Nothing is set; the working directory is empty.
    pub(crate) fn unconfigured() -> Self {
        Self {
            variables: Vec::new(),
            ..Self::new()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookmirror"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Runs a command that must succeed, and answers what it printed.
    pub(crate) fn output<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        ran.stdout
    }

    /// Runs a command that must succeed, and reads its JSON.
    pub(crate) fn json<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Value {
        serde_json::from_str(&self.output(arguments)).unwrap()
    }

    /// Starts a command and lets it run.
    pub(crate) fn start<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Running {
        self.launch(&mut self.command(arguments))
    }

    /// Lets a [`command`](Self::command) run, or another program that becomes one.
    pub(crate) fn launch(&self, command: &mut Command) -> Running {
        let stdout = tempfile::NamedTempFile::new_in(self.path()).unwrap();
        let stderr = tempfile::NamedTempFile::new_in(self.path()).unwrap();
        let child = command
            .stdout(stdout.reopen().unwrap())
            .stderr(stderr.reopen().unwrap())
            .spawn()
            .unwrap();
        Running {
            child,
            stdout: stdout.into_temp_path().keep().unwrap(),
            stderr: stderr.into_temp_path().keep().unwrap(),
        }
    }

    /// Starts `run`, and waits until it is ready.
    pub(crate) fn serve(&self) -> Running {
        self.listen("run")
    }

    /// Starts a command that receives webhooks, and waits until it is ready.
    pub(crate) fn listen(&self, command: &str) -> Running {
        let mut running = self.start([command]);
        wait_until("it listens", || {
            if let Some(status) = running.child.try_wait().unwrap() {
                panic!("`{command}` ended with {status}: {}", read(&running.stderr));
            }
            // It is this one that listens, and nobody else.
            read(&running.stderr).contains("ready: webhooks") && is_ready(self.address)
        });
        running
    }

    /// What `/readyz` answers.
    pub(crate) fn readiness(&self) -> String {
        self.ask_readiness().unwrap()
    }

    /// The same of a process that may be away.
    pub(crate) fn ask_readiness(&self) -> std::io::Result<String> {
        ask_readiness(self.address)
    }

    /// One figure from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = self.database().await;
        let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
        row.get(0)
    }

    /// The store of this installation, with its schema, for who wants to fill it without a service.
    pub(crate) async fn store(&self) -> SqliteStore {
        let store = SqliteStore::open(&self.data_dir().join("mirror.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// Changes the database, as time or somebody else would.
    pub(crate) async fn change(&self, sql: &'static str) {
        let mut connection = self.options("mirror.db").connect().await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }

    /// How many deliveries were acknowledged, seen from the files: those in the ledger, and those in
    /// the queue. A batch that is in both for a moment counts twice.
    pub(crate) async fn acknowledged(&self) -> i64 {
        let mut queue = self
            .options("queue.db")
            .read_only(true)
            .connect()
            .await
            .unwrap();
        let queued: i64 = sqlx::query("SELECT COUNT(*) FROM messages")
            .fetch_one(&mut queue)
            .await
            .unwrap()
            .get(0);
        let taken = self
            .count("SELECT COALESCE(SUM(deliveries), 0) FROM events")
            .await;
        queued + taken
    }

    /// Keeps everybody else from writing to the database until dropped.
    pub(crate) async fn hold_database(&self) -> SqliteConnection {
        let mut connection = self.options("mirror.db").connect().await.unwrap();
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    fn options(&self, file: &str) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.data_dir().join(file))
            .busy_timeout(Duration::from_secs(5))
    }

    /// A connection that only reads, as the application team has one.
    pub(crate) async fn database(&self) -> SqliteConnection {
        self.options("mirror.db")
            .read_only(true)
            .connect()
            .await
            .unwrap()
    }

    /// Waits until nothing is queued, and nothing is on its way to Clerk.
    pub(crate) async fn come_to_rest(&self) {
        let mut patience = Patience::new();
        loop {
            let stats = self.json(["events", "stats", "--json"]);
            let pending = self
                .count("SELECT COUNT(*) FROM outbox WHERE state = 'pending'")
                .await;
            if stats["queue"]["messages"] == 0 && pending == 0 {
                return;
            }
            patience.look_again().await;
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let ran = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        keeps_secrets(&ran.stdout);
        keeps_secrets(&ran.stderr);
        ran
    }

    /// That it failed like this, said all of this on standard error, and nothing elsewhere.
    pub(crate) fn failed_with(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
    }
}

/// A command that still runs. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) fn stdout(&self) -> String {
        read(&self.stdout)
    }

    pub(crate) fn stderr(&self) -> String {
        read(&self.stderr)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.ended().is_some()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Asks it to end, and waits until it has; answers what it wrote to standard error.
    pub(crate) fn stop(self) -> String {
        self.signal("TERM");
        let (status, _, stderr) = self.wait();
        assert!(status.success(), "{status}: {stderr}");
        stderr
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, String) {
        wait_until("a process ends", || self.has_ended());
        let status = self.child.wait().unwrap();
        (status, read(&self.stdout), read(&self.stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            keeps_secrets(&read(&self.stdout));
            keeps_secrets(&read(&self.stderr));
        }
    }
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn keeps_secrets(text: &str) {
    for marker in MARKERS {
        assert!(!text.contains(marker), "a secret in: {text}");
    }
}

/// For loops that look again and again, for a limited time.
pub(crate) struct Patience(Instant);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    #[track_caller]
    pub(crate) fn look_again(&mut self) -> tokio::time::Sleep {
        assert!(self.0.elapsed() < PATIENCE, "waited too long");
        tokio::time::sleep(LOOK_AGAIN)
    }
}

/// Looks again and again, for a limited time.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// An address of the loopback interface at which nothing listens. From below the range that the
/// system gives out by itself, so that nobody who asks for any port gets it in the meantime.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that were started together are far apart: more than one of them needs.
    let begin = u16::try_from(u64::from(std::process::id()) * 127 % 18_000).unwrap();
    loop {
        let place = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (begin + place) % 18_000;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().unwrap();
        }
    }
}

pub(crate) fn is_ready(address: SocketAddr) -> bool {
    ask_readiness(address).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn ask_readiness(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(6)))?;
    write!(
        connection,
        "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A payload of the repository.
pub(crate) fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) const CREATED: &str = "clerk/user.created.json";
pub(crate) const UPDATED: &str = "clerk/user.updated.json";
pub(crate) const DELETED: &str = "clerk/user.deleted.json";
pub(crate) const PAID: &str = "stripe/checkout.session.completed.json";
