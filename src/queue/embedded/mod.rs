//! The queue in a SQLite file of its own, for one machine with nothing else installed.
//!
//! One [`writer`] owns the only connection that writes. It takes whatever is waiting (new events,
//! acknowledgements, readiness checks) and commits it as one transaction in WAL mode with
//! `synchronous=FULL`, so that under load many events share one fsync and a single event waits for
//! nobody. The [`consumer`] hands events out from a connection that only reads; what has been handed
//! out is remembered in memory only, so after a crash everything unacknowledged is handed out again.
//!
//! One process at a time: a lock on `queue.lock` keeps a second one from handing out the same
//! events. The lock belongs to the process and goes with it, `kill -9` included.
//!
//! # Messages that kill
//!
//! To count every hand-out would cost a commit each. So the file remembers only how many openings in
//! a row had no orderly end: the process died, or somebody who had a batch dropped it, as a consumer
//! does that panics. After two of them the next opening is a *cautious* one. What is in the file by
//! then is suspected, and handed out one message at a time, alone, after its delivery was counted and
//! committed; those that were counted least come first, so that what kills comes after what does not.
//! An acknowledgement ends the suspicion, a message that is given back is not charged with it, and one
//! that was handed out 20 times without either moves to the dead letters. What arrives meanwhile is
//! not suspected; it takes turns with what is.
//!
//! Guaranteed: a message that kills its process each time is out of the way at the 23rd opening at
//! the latest (each further one takes 20 more), and from the fourth on it is handed out only after
//! all others that were there. A row that this program did not write goes to the dead letters as soon as it is
//! met. Both stay there, durably, until somebody acknowledges them.
//!
//! NOT guaranteed: that a message which kills only now and then is found. An orderly end forgets the
//! unclean ones before it, though not what was counted. Nor that a dead letter is guilty: a process
//! that dies for another reason while it has the same message, 20 times, is not told apart.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::task::JoinHandle;

use self::cursor::Cursor;
use self::handout::Handout;
use self::opening::Opening;
use self::suspects::Suspects;
use self::writer::{Bells, Writer};

mod consumer;
mod cursor;
mod dead;
mod depth;
mod handout;
pub mod inspect;
mod opening;
mod order;
mod publisher;
mod row;
mod schema;
mod statements;
mod suspects;
mod trial;
mod writer;

pub use self::consumer::EmbeddedConsumer;
pub use self::dead::EmbeddedDeadLetters;
pub use self::depth::Depth;
pub use self::publisher::EmbeddedPublisher;

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

/// Whether messages can be what kills the process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    Possible,
    Never,
}

impl EmbeddedQueue {
    /// Opens the queue in `data_dir`, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// When the directory or the file cannot be used, or another process works this queue.
    pub async fn open(data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(data_dir, Suspicion::Possible).await
    }

    /// Opens the same file for one who only passes on what it holds. Nobody looks into a message on
    /// that way, so none is ever suspected or given up on for its deliveries, however the process
    /// ends. What another queue has left in the file is passed on as well.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_as_spool(data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(data_dir, Suspicion::Never).await
    }

    async fn open_with(data_dir: &Path, suspicion: Suspicion) -> Result<Self, OpenError> {
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
        let opening = Opening::begin(&mut connection).await.map_err(broken)?;
        let reading = SqliteConnection::connect_with(&options.clone().read_only(true))
            .await
            .map_err(broken)?;

        let bells = Bells::default();
        let abandoned = Arc::new(AtomicBool::new(false));
        let last_seq = opening.last_seq;
        let (writer, publisher) = Writer::new(
            options,
            connection,
            lock,
            last_seq,
            bells.clone(),
            Arc::clone(&abandoned),
        )
        .await
        .map_err(broken)?;
        let suspects = match suspicion {
            Suspicion::Possible => Suspects::of(opening),
            Suspicion::Never => None,
        };
        // What is suspected is not read on to.
        let cursor = Cursor::new(reading, suspects.as_ref().map_or(0, |_| last_seq));
        Ok(Self {
            handout: Arc::new(Handout::new(cursor, suspects, abandoned, bells)),
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

    /// What the queue gave up on; any number may exist, each letter is handed to one of them.
    pub fn dead_letters(&self) -> EmbeddedDeadLetters {
        EmbeddedDeadLetters::new(Arc::clone(&self.handout), self.publisher.clone())
    }

    /// How much the queue holds. Reads no file.
    pub fn depth(&self) -> Depth {
        self.publisher.depth()
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
