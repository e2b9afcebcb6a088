//! The database that the settings name.

use std::sync::Arc;

use anyhow::Context;
use secrecy::ExposeSecret;

use super::super::CommandError;
use crate::config::{Config, DatabaseUrl};
use crate::model::entitlement::Policy;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// An open database.
#[derive(Clone, Debug)]
pub(in crate::cli) enum Database {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Database {
    /// Opens it for work. A file is created if it is not there; a server need not answer yet.
    pub(in crate::cli) async fn open(
        url: &DatabaseUrl,
        policy: Policy,
    ) -> Result<Self, StoreError> {
        Ok(match url {
            DatabaseUrl::Sqlite(path) => {
                let store = SqliteStore::open(path).await?.with_policy(policy);
                Self::Sqlite(Arc::new(store))
            }
            DatabaseUrl::Postgres(url) => {
                let store = PostgresStore::connect(url.secret().expose_secret())?;
                Self::Postgres(Arc::new(store.with_policy(policy)))
            }
        })
    }

    /// Opens it for looking at; `None` if it is a file that is not there.
    pub(in crate::cli) async fn open_existing(
        url: &DatabaseUrl,
        policy: Policy,
    ) -> Result<Option<Self>, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                let store = SqliteStore::open_existing(path).await?;
                Ok(store.map(|store| Self::Sqlite(Arc::new(store.with_policy(policy)))))
            }
            DatabaseUrl::Postgres(_) => Self::open(url, policy).await.map(Some),
        }
    }

    /// The database behind its trait.
    pub(in crate::cli) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Postgres(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Whether it is elsewhere, and may be away for a while.
    pub(in crate::cli) fn is_remote(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Waits for what is under way and closes it.
    pub(in crate::cli) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// Which database it is that an error is about.
pub(in crate::cli) fn cannot_use(url: &DatabaseUrl) -> String {
    format!("cannot use {url} (DATABASE_URL)")
}

/// Opens the database for a command that only looks. Its schema is current.
pub(in crate::cli) async fn existing_store(
    config: &Config,
) -> Result<Arc<dyn Store>, CommandError> {
    let url = &config.database;
    let database = Database::open_existing(url, config.policy).await?;
    let database = database.with_context(|| {
        format!(
            "there is no database at {url} (DATABASE_URL): nothing was received yet, or the settings \
             are not those of the running service"
        )
    })?;
    let store = database.store();
    let pending = store.pending_migrations().await;
    let pending = pending.with_context(|| cannot_use(url))?;
    if !pending.is_empty() {
        return Err(anyhow::anyhow!(
            "the database lacks {}: run `hookmirror migrate`",
            pending.join(", ")
        )
        .into());
    }
    Ok(store)
}
