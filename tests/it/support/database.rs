//! A database for one test.

use std::any::Any;
use std::sync::Arc;

use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;

use super::directory::directory;
use super::postgres::TestDatabase;

/// Migrated and empty; gone when dropped.
pub(crate) struct Database {
    pub(crate) store: Arc<dyn Store>,
    _place: Box<dyn Any + Send>,
}

/// One in a SQLite file.
pub(crate) async fn sqlite() -> Database {
    let directory = directory();
    let store = SqliteStore::open(&directory.path().join("mirror.db"))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    Database {
        store: Arc::new(store),
        _place: Box::new(directory),
    }
}

/// One on the shared Postgres server.
pub(crate) async fn postgres() -> Database {
    let database = TestDatabase::migrated().await;
    Database {
        store: Arc::new(database.store()),
        _place: Box::new(database),
    }
}
