//! A Postgres server of our own; never one that is running already.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hookmirror::store::Store;
use hookmirror::store::postgres::PostgresStore;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::directory::directory;
use super::server::{Guarded, as_user, find, free_port};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Owns the data where this process is root.
const USER: &str = "postgres";

/// One server: its data on a directory of its own, listening on the loopback.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    fsync: bool,
    server: Option<Guarded>,
}

impl Postgres {
    /// Starts one that nobody else uses. It ends when dropped.
    pub(crate) async fn start() -> Self {
        Self::start_in(directory(), false).await
    }

    /// The same on a disk, with every commit synced to it.
    pub(crate) async fn start_on_disk() -> Self {
        Self::start_in(TempDir::new().unwrap(), true).await
    }

    async fn start_in(directory: TempDir, fsync: bool) -> Self {
        let mut postgres = Self {
            programs: programs(),
            directory: directory.keep(),
            port: free_port(),
            fsync,
            server: None,
        };
        // Sorts as a language does, so that what must sort by bytes has to say so. Who asks as
        // `stranger` needs a password, and there is none.
        let script = r#"set -e
            chmod 755 "$2"
            if [ "$(id -u)" = 0 ]; then chown "$3" "$2"; fi
            shift 3
            "$@" -D data -U postgres --auth=trust --no-sync --no-instructions -E UTF8 \
                --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US
            sed -i '1i host all stranger all scram-sha-256' data/pg_hba.conf"#;
        let output = Command::new("sh")
            .args(["-c", script, "sh", "-"])
            .arg(&postgres.directory)
            .arg(USER)
            .args(as_user(USER))
            .arg(postgres.programs.join("initdb"))
            .current_dir(&postgres.directory)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        postgres.restart().await;
        postgres
    }

    /// Starts it again, on the same data and port.
    pub(crate) async fn restart(&mut self) {
        let settings = [
            ("port", self.port.to_string()),
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", self.text(&self.directory)),
            ("fsync", self.fsync.to_string()),
            // Else a killed server would leave something behind outside of its directory.
            ("dynamic_shared_memory_type", "mmap".to_owned()),
            ("max_connections", "300".to_owned()),
            ("shared_buffers", "64MB".to_owned()),
            ("deadlock_timeout", "200ms".to_owned()),
        ];
        let mut command = as_user(USER);
        command.push(self.text(&self.programs.join("postgres")));
        command.extend(["-D".to_owned(), self.text(&self.directory.join("data"))]);
        for (name, value) in settings {
            command.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        self.server = Some(Guarded::start(&self.directory, &command));
        self.until_it_answers().await;
    }

    async fn until_it_answers(&self) {
        let begun = Instant::now();
        while let Err(error) = PgConnection::connect(&self.url("postgres")).await {
            let runs = self.is_running();
            let log = || std::fs::read_to_string(self.directory.join("log")).unwrap();
            assert!(runs, "Postgres ended: {}", log());
            assert!(begun.elapsed() < PATIENCE, "{error}: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn text(&self, path: &Path) -> String {
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.server.as_ref().is_some_and(Guarded::is_running)
    }

    /// Kills it with everything it has started, by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Lets it hang: connections stay, nothing answers.
    pub(crate) fn pause(&self) {
        self.server.as_ref().unwrap().signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.server.as_ref().unwrap().signal("CONT");
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    /// The address of a database of it, by way of a proxy.
    pub(crate) fn url_through(port: u16, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{database}")
    }

    /// The address of a database of it.
    pub(crate) fn url(&self, database: &str) -> String {
        Self::url_through(self.port, database)
    }

    /// The same, as somebody whom the server lets in only with a password.
    pub(crate) fn url_of_stranger(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://stranger:not-the-password@127.0.0.1:{port}/{database}")
    }

    /// Does something to the server as a whole.
    pub(crate) async fn administer(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A server that was killed has left its directory behind.
        drop(self.server.take());
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Where `initdb` and `postgres` are.
fn programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let folders = versions.into_iter().map(|(_, folder)| folder);
    let Some(initdb) = find("initdb", folders) else {
        panic!(
            "there is no Postgres here: `bash tests/run` installs it, or apt-get install postgresql"
        )
    };
    initdb.canonicalize().unwrap().parent().unwrap().to_owned()
}

/// Shared by all tests of this process; started by the first that needs it.
static SHARED: OnceCell<Postgres> = OnceCell::const_new();
/// Databases whose tests are over. Whoever needs the next one drops them.
static OVER: Mutex<Vec<String>> = Mutex::new(Vec::new());
static NUMBER: AtomicU32 = AtomicU32::new(0);
const TEMPLATE: &str = "migrated";

async fn shared() -> &'static Postgres {
    SHARED
        .get_or_init(|| async {
            let postgres = Postgres::start().await;
            let sql = format!("CREATE DATABASE {TEMPLATE}");
            postgres.administer(&sql).await;
            let store = PostgresStore::connect(&postgres.url(TEMPLATE)).unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            postgres
        })
        .await
}

/// A database of the shared server, for one test.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    name: String,
    pub(crate) url: String,
}

impl TestDatabase {
    /// One without tables.
    pub(crate) async fn empty() -> Self {
        Self::copy_of("template0").await
    }

    /// One with all tables, and nothing in them.
    pub(crate) async fn migrated() -> Self {
        Self::copy_of(TEMPLATE).await
    }

    async fn copy_of(template: &str) -> Self {
        let postgres = shared().await;
        let over = std::mem::take(&mut *OVER.lock().unwrap());
        for name in over {
            let sql = format!("DROP DATABASE {name} WITH (FORCE)");
            postgres.administer(&sql).await;
        }
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        postgres.administer(&sql).await;
        let url = postgres.url(&name);
        Self { name, url }
    }

    /// Another process's view of it.
    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url).unwrap()
    }

    /// The same database, asked for by somebody whom the server lets in only with a password.
    pub(crate) async fn url_of_stranger(&self) -> String {
        shared().await.url_of_stranger(&self.name)
    }

    /// Somebody else's connection to it.
    pub(crate) async fn stranger(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        OVER.lock().unwrap().push(self.name.clone());
    }
}
