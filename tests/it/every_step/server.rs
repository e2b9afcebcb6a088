//! One database on a real server for all runs of a scenario: to make another costs more than a run.

use std::sync::Arc;

use hookmirror::store::Store;
use sqlx::PgConnection;
use tokio::sync::Mutex;
use url::Url;

use crate::support::postgres::TestDatabase;
use crate::support::rows::{self, Rows};

/// All tables but the list of migrations.
const EMPTY: &str = "DO $$ DECLARE name text; BEGIN \
    FOR name IN SELECT tablename FROM pg_tables \
        WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations' \
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP; \
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' \
    LOOP EXECUTE 'ALTER SEQUENCE ' || name || ' RESTART'; END LOOP; END $$";

/// See the module.
pub(super) struct Server {
    database: TestDatabase,
    direct: Mutex<PgConnection>,
    /// The database as the one sees it who looks on.
    pub(super) store: Arc<dyn Store>,
}

impl Server {
    pub(super) async fn new() -> Self {
        let database = TestDatabase::migrated().await;
        Self {
            direct: Mutex::new(database.stranger().await),
            store: Arc::new(database.store()),
            database,
        }
    }

    pub(super) fn url(&self) -> Url {
        Url::parse(&self.database.url).unwrap()
    }

    /// Empties all tables, and counts from one again.
    pub(super) async fn empty(&self) {
        let mut direct = self.direct.lock().await;
        sqlx::raw_sql(EMPTY).execute(&mut *direct).await.unwrap();
    }

    pub(super) async fn rows(&self) -> Rows {
        rows::of_postgres(&mut *self.direct.lock().await, &["_sqlx_migrations"]).await
    }
}
