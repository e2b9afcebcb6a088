//! The database of the simulation: the real store, on a file in memory.
//!
//! A call of it is done while everything else stands still, on threads of its own: how long the machine
//! takes for it cannot be seen from inside of the simulation.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
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
        let _within = self.runtime.enter();
        let mut work = pin!(unconstrained(work));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match work.as_mut().poll(&mut context) {
                Poll::Ready(done) => return done,
                Poll::Pending => thread::park(),
            }
        }
    }

    pub(super) fn clear(&self) {
        self.call(async { tables::clear(&mut *self.direct.lock().await).await });
    }

    pub(super) fn read(&self) -> Mirror {
        self.call(async { tables::read(&mut *self.direct.lock().await).await })
    }

    /// What was charged to each event.
    pub(super) fn attempts(&self) -> BTreeMap<String, i64> {
        let rows = self.call(async {
            sqlx::query_as("SELECT event_id, attempts FROM events")
                .fetch_all(&mut *self.direct.lock().await)
                .await
        });
        rows.unwrap().into_iter().collect()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
