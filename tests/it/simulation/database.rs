//! The database of the simulation: the real store, on a file in memory.
//!
//! A call of it is done while everything else stands still, on threads of its own: how long the machine
//! takes for it cannot be seen from inside of the simulation.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;
use tokio::task::unconstrained;

use crate::convergence::reference::Mirror;
use crate::convergence::tables;
use crate::support::directory::directory;

/// Emptied between runs, as making one costs more than a run.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) store: Arc<SqliteStore>,
    direct: Mutex<SqliteConnection>,
    runtime: Runtime,
    _directory: TempDir,
}

impl Database {
    pub(super) fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let directory = directory();
        let path = directory.path().join("mirror.db");
        let (store, direct) = runtime.block_on(async {
            let store = SqliteStore::open(&path).await.unwrap();
            store.migrate().await.unwrap();
            let options = SqliteConnectOptions::new().filename(&path);
            let direct = SqliteConnection::connect_with(&options).await.unwrap();
            (store, direct)
        });
        Self {
            store: Arc::new(store),
            direct: Mutex::new(direct),
            runtime,
            _directory: directory,
        }
    }

    /// Does it now, whoever waits meanwhile. Within a runtime nothing may be waited for that way but by
    /// polling; timers and tasks of the store are those of its own runtime.
    pub(super) fn call<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(unconstrained(work));
        self.poll(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    }

    /// Does it for somebody who ends with the first commit, whatever was still to come: one transaction
    /// is all that a call may be, or this tears it in two.
    pub(super) fn call_for_the_dying(&self, work: impl Future) {
        let before = self.version();
        let mut work = pin!(unconstrained(work));
        self.poll(|context| {
            let done = work.as_mut().poll(context).is_ready();
            (done || self.version() != before).then_some(())
        });
    }

    /// Changes with each commit of another connection.
    fn version(&self) -> i64 {
        let version = self.call(async {
            sqlx::query_scalar("PRAGMA data_version")
                .fetch_one(&mut *self.direct.lock().await)
                .await
        });
        version.unwrap()
    }

    /// Tries again whenever there is news, until there is an answer.
    fn poll<T>(&self, mut attempt: impl FnMut(&mut Context<'_>) -> Option<T>) -> T {
        let news = Arc::new(News {
            whose: thread::current(),
            is_there: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&news));
        loop {
            let within = self.runtime.enter();
            let answer = attempt(&mut Context::from_waker(&waker));
            drop(within);
            if let Some(answer) = answer {
                return answer;
            }
            while !news.is_there.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    }

    pub(super) fn clear(&self) {
        self.call(async { tables::clear(&mut *self.direct.lock().await).await });
    }

    pub(super) fn read(&self) -> Mirror {
        self.call(async { tables::read(&mut *self.direct.lock().await).await })
    }

    /// How often each event was processed, and how often it came out of the queue.
    pub(super) fn attempts(&self) -> BTreeMap<String, (i64, i64)> {
        let rows: Result<Vec<(String, i64, i64)>, _> = self.call(async {
            sqlx::query_as("SELECT event_id, attempts, deliveries FROM events")
                .fetch_all(&mut *self.direct.lock().await)
                .await
        });
        let rows = rows.unwrap().into_iter();
        rows.map(|(event, attempts, deliveries)| (event, (attempts, deliveries)))
            .collect()
    }
}

/// A thread may wait for one thing within another: being woken says nothing of what for.
struct News {
    whose: Thread,
    is_there: AtomicBool,
}

impl Wake for News {
    fn wake(self: Arc<Self>) {
        self.is_there.store(true, Ordering::Release);
        self.whose.unpark();
    }
}
