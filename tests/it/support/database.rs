//! A database for one test.

use std::sync::Arc;

use hookmirror::store::Store;
use hookmirror::store::sqlite::SqliteStore;
use tempfile::TempDir;

use super::directory::directory;

/// Migrated and empty; gone when dropped.
pub(crate) struct Database {
    pub(crate) store: Arc<dyn Store>,
    _directory: TempDir,
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
        _directory: directory,
    }
}
