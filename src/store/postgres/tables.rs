//! The rows of a batch, in one transaction, beside other transactions that do the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;

use super::super::apply::{Entitlements, Tables, apply};
use super::super::fold::payments::{PaymentFold, Sessions};
use super::super::fold::users::{KnownUser, UserFold};
use super::super::fold::{Grouped, LedgerHead};
use super::super::problem::ApplyError;
use super::locks::{Class, lock};
use super::{PostgresStore, StoreError, ledger, outbox, payments, users};
use crate::model::changes::{Applied, Outcome, Planned};
use crate::model::event::EventKey;
use crate::model::payment::CheckoutSession;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// How often a batch begins anew after another writer was in the way.
const RETRIES: u32 = 5;
/// The wait before the first of these, which doubles each time. The other writer only has to finish
/// what it is at.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// Applies a batch in one transaction; in another one, if the server chose it to give way.
pub(super) async fn apply_batch(
    store: &PostgresStore,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, StoreError> {
    let mut retries = 0;
    loop {
        match attempt(store, batch, now).await {
            Err(ApplyError::Conflict(error)) if retries < RETRIES => {
                let wait = wait(batch, retries);
                tracing::debug!(%error, ?wait, "another writer was in the way of a batch");
                tokio::time::sleep(wait).await;
                retries += 1;
            }
            result => return result.map_err(|error| error.into_store_error("apply a batch")),
        }
    }
}

/// Up to twice the doubled wait; drawn from the batch, so that two that met do not meet again.
fn wait(batch: &[Planned], retries: u32) -> Duration {
    let wait = FIRST_WAIT * 2_u32.pow(retries);
    let mut hasher = DefaultHasher::new();
    (retries, batch.first().map(|planned| &planned.event.key)).hash(&mut hasher);
    let most = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    wait + Duration::from_millis(hasher.finish() % most)
}

async fn attempt(
    store: &PostgresStore,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    let mut transaction = store.begin("begin to apply a batch").await?;
    let mut tables = PostgresTables(&mut transaction);
    let applied = apply(&mut tables, batch, now).await?;
    transaction.commit().await?;
    Ok(applied)
}

struct PostgresTables<'c>(&'c mut PgConnection);

impl PostgresTables<'_> {
    async fn execute(&mut self, sql: &'static str) -> Result<(), ApplyError> {
        sqlx::query(sql).execute(&mut *self.0).await?;
        Ok(())
    }
}

#[async_trait]
impl Tables for PostgresTables<'_> {
    async fn begin_part(&mut self) -> Result<(), ApplyError> {
        self.execute("SAVEPOINT part").await
    }

    async fn keep_part(&mut self) -> Result<(), ApplyError> {
        self.execute("RELEASE part").await
    }

    async fn undo_part(&mut self) -> Result<(), ApplyError> {
        self.execute("ROLLBACK TO part").await?;
        self.execute("RELEASE part").await
    }

    async fn ledger_heads(
        &mut self,
        batch: &[Planned],
    ) -> Result<HashMap<EventKey, LedgerHead>, ApplyError> {
        ledger::heads(self.0, batch).await
    }

    async fn related_sessions(
        &mut self,
        incoming: &[&CheckoutSession],
    ) -> Result<Sessions, ApplyError> {
        payments::related(self.0, incoming).await
    }

    async fn lock_users(&mut self, users: &BTreeSet<&UserId>) -> Result<(), ApplyError> {
        let users = users.iter().map(|user| user.as_str());
        Ok(lock(self.0, Class::User, users).await?)
    }

    async fn sessions_of(&mut self, users: &BTreeSet<UserId>) -> Result<Sessions, ApplyError> {
        payments::of_users(self.0, users).await
    }

    async fn known_users(
        &mut self,
        ids: &BTreeSet<&UserId>,
    ) -> Result<HashMap<UserId, KnownUser>, ApplyError> {
        users::known(self.0, ids).await
    }

    async fn write_users(
        &mut self,
        fold: &UserFold<'_>,
        now: Timestamp,
    ) -> Result<BTreeMap<UserId, Outcome>, ApplyError> {
        users::write(self.0, fold, now).await
    }

    async fn write_sessions(&mut self, fold: &PaymentFold) -> Result<(), ApplyError> {
        Ok(payments::write(self.0, fold).await?)
    }

    async fn write_entitlements(
        &mut self,
        entitlements: &Entitlements<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        Ok(payments::write_entitlements(self.0, entitlements, now).await?)
    }

    async fn write_outbox(
        &mut self,
        entitlements: &Entitlements<'_>,
        users: &UserFold<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        outbox::lock(self.0, entitlements, users).await?;
        outbox::desire(self.0, entitlements, now).await?;
        Ok(outbox::follow_users(self.0, users, now).await?)
    }

    async fn write_ledger(
        &mut self,
        groups: &[Grouped<'_>],
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        ledger::write(self.0, groups, outcomes, now).await
    }

    async fn release(&mut self, sessions: &[String], now: Timestamp) -> Result<(), ApplyError> {
        Ok(ledger::release(self.0, sessions, now).await?)
    }
}
