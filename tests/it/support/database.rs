//! A database for one test.

use std::sync::Arc;

use hookmirror::model::entitlement::Policy;
use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use super::directory::directory;
use super::postgres::TestDatabase;
use super::rows::{self, Rows};

/// Migrated and empty; gone when dropped.
pub(crate) struct Database {
    pub(crate) store: Arc<dyn Store>,
    place: Place,
}

enum Place {
    Directory(TempDir),
    Server(TestDatabase),
}

const FILE: &str = "mirror.db";
/// A late renewal ends access.
const STRICT: Policy = Policy {
    past_due_is_paid: false,
};

/// One in a SQLite file.
pub(crate) async fn sqlite() -> Database {
    let directory = directory();
    let store = SqliteStore::open(&directory.path().join(FILE))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    Database {
        store: Arc::new(store),
        place: Place::Directory(directory),
    }
}

/// One on the shared Postgres server.
pub(crate) async fn postgres() -> Database {
    let database = TestDatabase::migrated().await;
    Database {
        store: Arc::new(database.store()),
        place: Place::Server(database),
    }
}

impl Database {
    /// The same, as a process sees it for which a late renewal ends access.
    pub(crate) async fn strict(&self) -> Arc<dyn Store> {
        match &self.place {
            Place::Directory(directory) => {
                let path = directory.path().join(FILE);
                let store = SqliteStore::open(&path).await.unwrap();
                Arc::new(store.with_policy(STRICT))
            }
            Place::Server(database) => Arc::new(database.store().with_policy(STRICT)),
        }
    }

    /// Does what this program would not.
    pub(crate) async fn execute(&self, sql: &'static str) {
        match &self.place {
            Place::Directory(directory) => {
                let file = directory.path().join(FILE);
                let options = SqliteConnectOptions::new().filename(file);
                let mut direct = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query(sql).execute(&mut direct).await.unwrap();
            }
            Place::Server(database) => {
                let mut direct = database.stranger().await;
                sqlx::query(sql).execute(&mut direct).await.unwrap();
            }
        }
    }

    /// All that it holds, but for these tables.
    pub(crate) async fn rows(&self, except: &[&str]) -> Rows {
        match &self.place {
            Place::Directory(directory) => {
                let file = directory.path().join(FILE);
                let options = SqliteConnectOptions::new().filename(file);
                let mut direct = SqliteConnection::connect_with(&options).await.unwrap();
                rows::of_sqlite(&mut direct, except).await
            }
            Place::Server(database) => {
                rows::of_postgres(&mut database.stranger().await, except).await
            }
        }
    }
}
