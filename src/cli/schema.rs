//! Bringing the schema up to date, at once or as soon as the database lets it.

use std::pin::Pin;
use std::sync::Arc;

use crate::backoff::Backoff;
use crate::error_chain::ErrorChain;
use crate::store::{Store, StoreError};

/// A migration that was begun.
pub(super) type Migrating = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// Applies what is missing, and tells of it.
pub(super) async fn migrate(store: Arc<dyn Store>) -> Result<(), StoreError> {
    for migration in store.migrate().await? {
        tracing::info!(migration, "applied migration {migration}");
    }
    Ok(())
}

/// Tries until the database answers, `under_way` first; whether the schema is current then.
pub(super) async fn migrate_patiently(
    store: Arc<dyn Store>,
    backoff: Backoff,
    mut under_way: Option<Migrating>,
) -> bool {
    let mut failures = 0;
    loop {
        let result = match under_way.take() {
            Some(migrating) => migrating.await,
            None => {
                tokio::time::sleep(backoff.delay(failures)).await;
                migrate(Arc::clone(&store)).await
            }
        };
        match result {
            Ok(()) => {
                tracing::info!("the database is there; work begins");
                return true;
            }
            Err(StoreError::Unavailable { .. }) => failures += 1,
            Err(error) => {
                tracing::error!(error = %ErrorChain(&error), "cannot work with the database");
                return false;
            }
        }
    }
}
