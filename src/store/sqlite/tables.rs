//! The rows of a batch, in one transaction. SQLite has one writer at a time: who is in a transaction
//! that writes has nobody to keep away, and nobody changes what it has read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::super::apply::apply;
use super::super::facts::{Selection, Stored};
use super::super::fold::failures::FailureFold;
use super::super::fold::users::{KnownUser, UserFold};
use super::super::fold::{Grouped, LedgerHead, OpenReplay, OpenReplays};
use super::super::problem::{ApplyError, unavailable};
use super::super::replays::Settled;
use super::super::shelf::{Rows, Shelf};
use super::super::tables::{Causes, Entitlements, Held, Tables};
use super::{
    SqliteStore, StoreError, entitlements, facts, failures, late_events, ledger, operators, outbox,
    pauses, replays, shelf, users,
};
use crate::model::changes::{Applied, Outcome, Planned};
use crate::model::event::EventKey;
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::payment::FactKind;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Applies a batch in one transaction.
pub(super) async fn apply_batch(
    store: &SqliteStore,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, StoreError> {
    let mut transaction = store.begin("begin to apply a batch").await?;
    let mut tables = SqliteTables(&mut transaction);
    let applied = apply(&mut tables, batch, store.policy, now)
        .await
        .map_err(|error| error.into_store_error("apply a batch"))?;
    transaction
        .commit()
        .await
        .map_err(unavailable("commit a batch"))?;
    Ok(applied)
}

pub(super) struct SqliteTables<'c>(pub(super) &'c mut SqliteConnection);

impl SqliteTables<'_> {
    async fn execute(&mut self, sql: &'static str) -> Result<(), ApplyError> {
        sqlx::query(sql).execute(&mut *self.0).await?;
        Ok(())
    }
}

#[async_trait]
impl Tables for SqliteTables<'_> {
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

    async fn open_replays(&mut self, batch: &[Planned]) -> Result<OpenReplays, ApplyError> {
        replays::open(self.0, batch).await
    }

    async fn ledger_heads(
        &mut self,
        batch: &[Planned],
    ) -> Result<HashMap<EventKey, LedgerHead>, ApplyError> {
        ledger::heads(self.0, batch).await
    }

    async fn paused_sources(&mut self) -> Result<BTreeSet<SourceName>, ApplyError> {
        pauses::in_force(self.0).await
    }

    async fn read_facts(&mut self, selection: &Selection) -> Result<Vec<Stored>, ApplyError> {
        facts::select(self.0, selection).await
    }

    async fn read_rows(&mut self, of: &'static Shelf, keys: &[String]) -> Result<Rows, ApplyError> {
        shelf::read(self.0, of, keys).await
    }

    async fn hold(&mut self, _keys: &BTreeSet<String>) -> Result<Held, ApplyError> {
        Ok(Held::Alone)
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

    async fn write_facts(&mut self, kind: FactKind, rows: &[Stored]) -> Result<(), ApplyError> {
        Ok(facts::write(self.0, kind, rows).await?)
    }

    async fn write_entitlements(
        &mut self,
        entitlements: &Entitlements<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        Ok(entitlements::write(self.0, entitlements, now).await?)
    }

    async fn write_outbox(
        &mut self,
        entitlements: &Entitlements<'_>,
        users: &UserFold<'_>,
        causes: &Causes<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        outbox::desire(self.0, entitlements, causes, now).await?;
        outbox::follow_users(self.0, users, now).await
    }

    async fn write_ledger(
        &mut self,
        groups: &[Grouped<'_>],
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        Ok(ledger::write(self.0, groups, outcomes, now).await?)
    }

    async fn count_failures(
        &mut self,
        fold: &FailureFold,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        Ok(failures::write(self.0, fold, now).await?)
    }

    async fn record_action(
        &mut self,
        action: &OperatorAction,
        matched: u64,
        now: Timestamp,
    ) -> Result<ActionRecord, ApplyError> {
        let matched = i64::try_from(matched).unwrap_or(i64::MAX);
        let changed = if action.mode.is_dry_run() { 0 } else { matched };
        let row = operators::record(self.0, action, matched, changed, now).await?;
        Ok(operators::action_record(&row)?)
    }

    async fn reopen_erasures(&mut self, about: &BTreeSet<&str>) -> Result<(), ApplyError> {
        Ok(late_events::reopen(self.0, about).await?)
    }

    async fn release(&mut self, subjects: &[String], now: Timestamp) -> Result<(), ApplyError> {
        Ok(ledger::release(self.0, subjects, now).await?)
    }

    async fn settle_replays(
        &mut self,
        settled: &[Settled<'_>],
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        Ok(replays::settle(self.0, settled, now).await?)
    }

    async fn put_back_replays(&mut self, open: &[OpenReplay]) -> Result<(), ApplyError> {
        Ok(replays::put_back(self.0, open).await?)
    }
}
