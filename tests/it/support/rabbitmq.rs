//! A broker of the tests' own, which never touches one that is installed as a service.
//!
//! Everything of it is in a temporary directory and on free ports. It runs under a shell that waits
//! on a pipe from the test process: when that ends, however it ends, the pipe closes, and the shell
//! kills what it started and removes the directory.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, thread};

use hookmirror::queue::rabbitmq::Topology;
use secrecy::SecretString;
use tempfile::TempDir;

use super::directory::directory;

/// Where Debian puts the programs, without the wrappers that change the user.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
/// A start takes some five seconds on two busy cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// Reads words from its input: `start` starts the broker. At the end of the input it cleans up.
const GUARD: &str = r#"
trap '' INT TERM HUP
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 >/dev/null 2>&1 </dev/null &
epmd=$!
until epmd -port "$ERL_EPMD_PORT" -names >/dev/null 2>&1; do sleep 0.02; done
group=
while read -r word; do
    setsid "$SERVER" >>"$HOME/broker.log" 2>&1 </dev/null &
    group=$!
    echo "$group" >"$HOME/group.new"
    mv "$HOME/group.new" "$HOME/group"
done
[ -n "$group" ] && kill -9 "-$group"
kill -9 "$epmd"
wait
rm -rf "$HOME"
"#;

/// A running broker.
#[derive(Debug)]
pub(crate) struct RabbitMq {
    home: PathBuf,
    port: u16,
    epmd_port: u16,
    guard: Child,
    words: Mutex<Option<ChildStdin>>,
}

impl RabbitMq {
    /// The one that all tests of this process share: it must be left as it was found.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<RabbitMq> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One for a test that stops it or sets off its alarms.
    pub(crate) fn start() -> Self {
        Self::start_in(directory())
    }

    /// The same on a disk.
    pub(crate) fn start_on_disk() -> Self {
        Self::start_in(TempDir::new().unwrap())
    }

    fn start_in(directory: TempDir) -> Self {
        let server = Path::new(PROGRAMS).join("rabbitmq-server");
        assert!(
            server.exists(),
            "{} is missing: `apt-get install rabbitmq-server`, or let `bash tests/run` do it",
            server.display()
        );
        let home = directory.keep();
        let [port, dist_port, epmd_port] = free_ports();
        fs::write(
            home.join("rabbitmq.conf"),
            "log.console.level = warning\nloopback_users = none\n",
        )
        .unwrap();
        fs::write(home.join("enabled_plugins"), "[].\n").unwrap();
        fs::write(home.join("env.conf"), "").unwrap();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .env("SERVER", server)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", dist_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", home.join("pid"))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                home.join("enabled_plugins"),
            )
            .env("RABBITMQ_FEATURE_FLAGS_FILE", home.join("feature_flags"))
            .env("RABBITMQ_PLUGINS_EXPAND_DIR", home.join("plugins"))
            .env("RABBITMQ_QUORUM_DIR", home.join("quorum"))
            // Two schedulers that do not spin: the tests need the cores themselves.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            )
            .envs(node(&home, epmd_port))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let words = Mutex::new(guard.stdin.take());
        let broker = Self {
            home,
            port,
            epmd_port,
            guard,
            words,
        };
        broker.begin();
        broker.wait_until_it_listens();
        broker
    }

    /// With the password that a new broker has.
    pub(crate) fn url(&self) -> SecretString {
        self.url_of("guest:guest", "%2f")
    }

    /// For another user, with the password, or another virtual host.
    pub(crate) fn url_of(&self, user: &str, vhost: &str) -> SecretString {
        format!("amqp://{user}@127.0.0.1:{}/{vhost}", self.port).into()
    }

    /// By way of a proxy.
    pub(crate) fn url_through(&self, port: u16) -> SecretString {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f").into()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    /// Lets the broker write down which queues there are. This version does so seconds late, and a
    /// queue that was declared just before a `kill -9` is lost with all that was confirmed; that is
    /// nothing that a client could prevent, and not what tests are about.
    pub(crate) async fn write_down_queues(&self) {
        let call = "[dets:sync(Table) || Table <- dets:all()].";
        self.control(&["eval", call]).await;
    }

    /// `kill -9`. See [`write_down_queues`](Self::write_down_queues).
    pub(crate) fn kill(&self) {
        self.signal("KILL");
        let gone = || TcpStream::connect(self.address()).is_err();
        wait_until("the broker is gone", gone);
    }

    /// Starts it again, with what it had on its disk. Answers when it listens.
    pub(crate) async fn restart(&self) {
        fs::remove_file(self.home.join("group")).unwrap();
        self.begin();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            assert!(Instant::now() < deadline, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it where it stands: connections stay open, and nobody answers.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
        // The signal is only on its way when `kill` returns, and one thread may still confirm.
        while !self.is_stopped() {
            thread::yield_now();
        }
    }

    /// Whether each thread of each of its processes stands still, or has ended.
    fn is_stopped(&self) -> bool {
        let group = fs::read_to_string(self.home.join("group")).unwrap();
        let threads = Command::new("ps")
            .args(["-A", "-L", "-o", "pgid=,stat="])
            .output()
            .unwrap();
        let threads = String::from_utf8(threads.stdout).unwrap();
        threads.lines().all(|line| {
            let mut words = line.split_whitespace();
            let is_of_another = words.next() != Some(group.trim());
            is_of_another
                || words
                    .next()
                    .is_some_and(|state| state.starts_with(['T', 'Z']))
        })
    }

    /// Ends [`pause`](Self::pause).
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Sets off, or ends, the alarm that is raised when memory runs short.
    pub(crate) async fn set_alarm(&self, on: bool) {
        let call = match on {
            true => "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).",
            false => "rabbit_alarm:clear_alarm({resource_limit, memory, node()}).",
        };
        self.control(&["eval", call]).await;
    }

    /// Runs `rabbitmqctl`; answers what it printed.
    pub(crate) async fn control(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(Path::new(PROGRAMS).join("rabbitmqctl"));
        command
            .args(["--quiet"])
            .args(arguments)
            .envs(node(&self.home, self.epmd_port));
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn begin(&self) {
        let mut words = self.words.lock().unwrap();
        words.as_mut().unwrap().write_all(b"start\n").unwrap();
        drop(words);
        wait_until("the guard has started the broker", || {
            self.home.join("group").exists()
        });
    }

    fn wait_until_it_listens(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            assert!(Instant::now() < deadline, "{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, name: &str) {
        let group = fs::read_to_string(self.home.join("group")).unwrap();
        let status = Command::new("kill")
            .args([&format!("-{name}"), "--", &format!("-{}", group.trim())])
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("broker.log")).unwrap_or_default()
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        drop(self.words.lock().unwrap().take());
        self.guard.wait().unwrap();
    }
}

/// How the broker's programs find the broker.
fn node(home: &Path, epmd_port: u16) -> [(&'static str, String); 4] {
    [
        ("HOME", home.to_str().unwrap().to_owned()),
        ("RABBITMQ_NODENAME", "hookmirror@localhost".to_owned()),
        ("ERL_EPMD_PORT", epmd_port.to_string()),
        (
            "RABBITMQ_CONF_ENV_FILE",
            home.join("env.conf").to_str().unwrap().to_owned(),
        ),
    ]
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Names that nobody else uses on a shared broker.
pub(crate) fn topology() -> Topology {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    Topology {
        events_exchange: format!("test-{number}.events"),
        work_queue: format!("test-{number}.work"),
        dead_exchange: format!("test-{number}.dead"),
        dead_queue: format!("test-{number}.dead"),
    }
}
