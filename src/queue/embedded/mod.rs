//! The queue in a SQLite file of its own, for one machine with nothing else installed.
//!
//! One [`writer`] owns the only connection that writes. It takes whatever is waiting (new events,
//! acknowledgements, readiness checks) and commits it as one transaction in WAL mode with
//! `synchronous=FULL`, so that under load many events share one fsync and a single event waits for
//! nobody. The [`reader`] hands events out from a connection that only reads; what has been handed
//! out is remembered in memory only, so after a crash everything unacknowledged is handed out again.
//!
//! One process at a time: a lock on `queue.lock` keeps a second one from handing out the same
//! events. The lock belongs to the process and goes with it, `kill -9` included.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::reader::{Cursor, EmbeddedConsumer, Handout};
use self::writer::Writer;

pub mod inspect;
mod reader;
mod schema;
mod writer;

pub use self::writer::EmbeddedPublisher;

/// The queue's file inside the data directory.
const FILE: &str = "queue.db";
/// Held by the process that works the queue.
const LOCK: &str = "queue.lock";

/// An open queue. Publishers and consumers made from it share its writer.
#[derive(Debug)]
pub struct EmbeddedQueue {
    publisher: EmbeddedPublisher,
    handout: Arc<Handout>,
    writer: JoinHandle<()>,
}

impl EmbeddedQueue {
    /// Opens the queue in `data_dir`, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// When the directory or the file cannot be used, or another process works this queue.
    pub async fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let lock = lock(data_dir)?;
        let path = data_dir.join(FILE);
        let broken = |source| OpenError::File {
            path: path.clone(),
            source,
        };

        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged event must survive a loss of power, not only of the process.
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(broken)?;
        schema::migrate(&mut connection).await.map_err(broken)?;
        let reading = SqliteConnection::connect_with(&options.clone().read_only(true))
            .await
            .map_err(broken)?;

        let arrivals = Arc::new(Notify::new());
        let (writer, publisher) = Writer::new(options, connection, lock, Arc::clone(&arrivals))
            .await
            .map_err(broken)?;
        Ok(Self {
            handout: Arc::new(Handout::new(Cursor::new(reading), arrivals)),
            publisher,
            writer: tokio::spawn(writer.run()),
        })
    }

    /// A publisher; any number may exist.
    pub fn publisher(&self) -> EmbeddedPublisher {
        self.publisher.clone()
    }

    /// A consumer; any number may exist, each event is handed to one of them.
    pub fn consumer(&self) -> EmbeddedConsumer {
        EmbeddedConsumer::new(Arc::clone(&self.handout), self.publisher.clone())
    }

    /// Waits until everything that was asked for is committed and the file is closed. Publishers
    /// and consumers that still exist fail from then on.
    pub async fn close(self) {
        self.publisher.close();
        if let Err(error) = self.writer.await {
            tracing::error!(error = %error, "the queue's writer did not end by itself");
        }
        // The last connection to close folds the write-ahead log into the file.
        if let Some(handout) = Arc::into_inner(self.handout) {
            handout.close().await;
        }
    }
}

fn lock(data_dir: &Path) -> Result<File, OpenError> {
    let path = data_dir.join(LOCK);
    let failed = |source| OpenError::Lock {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            data_dir: data_dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Why the queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works it.
    #[error(
        "another hookmirror process is working the queue in {}: stop it, or give this one another \
         HOOKMIRROR_DATA_DIR",
        data_dir.display()
    )]
    InUse {
        /// Where.
        data_dir: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("the lock file {} cannot be used", path.display())]
    Lock {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The queue's file cannot be used.
    #[error("the queue {} cannot be opened", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
}
