//! What a batch would change: the rows that it writes, before and after.
//!
//! [`apply`] does its work on [`Previewing`], which looks at every row that is about to be written and
//! passes the write on; at the end it looks again. Whoever calls this undoes all of it.
//!
//! Guaranteed: the rules are those of a real batch, as they are the same code. NOT guaranteed: that a
//! user whom somebody else writes at the same moment is not shown with that change as well.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use serde_json::Value;

use super::apply::apply;
use super::facts::{Selection, Stored};
use super::fold::failures::FailureFold;
use super::fold::users::{KnownUser, UserFold};
use super::fold::{Grouped, LedgerHead, OpenReplay, OpenReplays};
use super::problem::ApplyError;
use super::replays::Settled;
use super::shelf::{ENTITLEMENTS, OUTBOX, Row, Rows, Shelf, TOMBSTONES, USERS, WAITING, row_of};
use super::tables::{Causes, Entitlements, Held, Tables};
use crate::model::changes::{Decision, Outcome, Planned};
use crate::model::entitlement::Policy;
use crate::model::event::EventKey;
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::payment::FactKind;
use crate::model::preview::{
    ColumnPreview, EntityChange, EntityKind, EntityPreview, Previewed, Verdict,
};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Applies a batch within a transaction that the caller undoes, and tells what that changes.
pub(super) async fn preview(
    tables: &mut dyn Tables,
    batch: &[Planned],
    policy: Policy,
    now: Timestamp,
) -> Result<Previewed, ApplyError> {
    let mut previewing = Previewing {
        tables,
        before: BTreeMap::new(),
        verdicts: HashMap::new(),
        released: BTreeSet::new(),
        released_before_part: BTreeSet::new(),
    };
    apply(&mut previewing, batch, policy, now).await?;
    let entities = previewing.differences().await?;
    let Previewing {
        mut verdicts,
        mut released,
        ..
    } = previewing;
    let keys = batch.iter().map(|planned| &planned.event.key);
    let verdicts: Vec<Verdict> = keys.filter_map(|key| verdicts.remove(key)).collect();
    for verdict in &verdicts {
        released.remove(&verdict.key);
    }
    Ok(Previewed {
        verdicts,
        entities,
        released: released.into_iter().collect(),
    })
}

/// The tables, with an eye on what is written to them.
struct Previewing<'t> {
    tables: &'t mut dyn Tables,
    /// Rows as they were before the first write to them; `None`: there was none.
    before: BTreeMap<EntityKind, BTreeMap<String, Option<Row>>>,
    verdicts: HashMap<EventKey, Verdict>,
    /// Events that waited, and would not any more.
    released: BTreeSet<EventKey>,
    /// The same when the part began that may be undone.
    released_before_part: BTreeSet<EventKey>,
}

impl Previewing<'_> {
    /// Looks at rows that are about to be written, unless they were looked at before.
    async fn note(
        &mut self,
        kind: EntityKind,
        keys: impl IntoIterator<Item = &str>,
    ) -> Result<(), ApplyError> {
        let noted = self.before.entry(kind).or_default();
        let keys: BTreeSet<&str> = keys
            .into_iter()
            .filter(|key| !noted.contains_key(*key))
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = keys.into_iter().map(ToOwned::to_owned).collect();
        let mut rows = read(self.tables, kind, &keys).await?;
        noted.extend(keys.into_iter().map(|key| {
            let row = rows.remove(&key);
            (key, row)
        }));
        Ok(())
    }

    async fn differences(&mut self) -> Result<Vec<EntityPreview>, ApplyError> {
        let mut differences = Vec::new();
        for (kind, rows) in &self.before {
            let keys: Vec<String> = rows.keys().cloned().collect();
            let mut after = read(self.tables, *kind, &keys).await?;
            differences.extend(rows.iter().filter_map(|(id, before)| {
                let after = after.remove(id);
                difference(*kind, id, before.as_ref(), after.as_ref())
            }));
        }
        Ok(differences)
    }
}

/// Where the rows of a kind lie that are no facts, or which facts they are.
enum Place {
    Shelf(&'static Shelf),
    Facts(FactKind),
}

const fn place(kind: EntityKind) -> Place {
    match kind {
        EntityKind::User => Place::Shelf(&USERS),
        EntityKind::UserTombstone => Place::Shelf(&TOMBSTONES),
        EntityKind::Entitlement => Place::Shelf(&ENTITLEMENTS),
        EntityKind::Metadata => Place::Shelf(&OUTBOX),
        EntityKind::CheckoutSession => Place::Facts(FactKind::CheckoutSession),
        EntityKind::Subscription => Place::Facts(FactKind::Subscription),
        EntityKind::Invoice => Place::Facts(FactKind::Invoice),
        EntityKind::Charge => Place::Facts(FactKind::Charge),
        EntityKind::Refund => Place::Facts(FactKind::Refund),
        EntityKind::Dispute => Place::Facts(FactKind::Dispute),
        EntityKind::Customer => Place::Facts(FactKind::Customer),
    }
}

const fn kind_of(fact: FactKind) -> EntityKind {
    match fact {
        FactKind::CheckoutSession => EntityKind::CheckoutSession,
        FactKind::Subscription => EntityKind::Subscription,
        FactKind::Invoice => EntityKind::Invoice,
        FactKind::Charge => EntityKind::Charge,
        FactKind::Refund => EntityKind::Refund,
        FactKind::Dispute => EntityKind::Dispute,
        FactKind::Customer => EntityKind::Customer,
    }
}

async fn read(
    tables: &mut dyn Tables,
    kind: EntityKind,
    keys: &[String],
) -> Result<Rows, ApplyError> {
    match place(kind) {
        Place::Shelf(shelf) => tables.read_rows(shelf, keys).await,
        Place::Facts(kind) => {
            let any_of = vec![("id", keys.to_vec())];
            let facts = tables.read_facts(&Selection { kind, any_of }).await?;
            let rows = facts.iter().map(|stored| {
                let id = stored.fact.id().to_owned();
                (id, row_of(stored))
            });
            Ok(rows.collect())
        }
    }
}

/// How a row differs from what it was, if it does.
fn difference(
    entity: EntityKind,
    id: &str,
    before: Option<&Row>,
    after: Option<&Row>,
) -> Option<EntityPreview> {
    let change = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => EntityChange::Created,
        (Some(_), Some(_)) => EntityChange::Changed,
        (Some(_), None) => EntityChange::Removed,
    };
    let columns = before.or(after)?.iter().map(|(column, _)| *column);
    let columns: Vec<ColumnPreview> = columns
        .enumerate()
        .filter_map(|(place, column)| {
            let value = |row: Option<&Row>| {
                let cell = row.and_then(|row| row.get(place));
                cell.map_or(Value::Null, |(_, value)| value.clone())
            };
            let (before, after) = (value(before), value(after));
            (before != after).then_some(ColumnPreview {
                column,
                before,
                after,
            })
        })
        .collect();
    let is_same = change == EntityChange::Changed && columns.is_empty();
    (!is_same).then(|| EntityPreview {
        entity,
        id: id.to_owned(),
        change,
        columns,
    })
}

#[async_trait]
impl Tables for Previewing<'_> {
    async fn begin_part(&mut self) -> Result<(), ApplyError> {
        self.released_before_part = self.released.clone();
        self.tables.begin_part().await
    }

    async fn keep_part(&mut self) -> Result<(), ApplyError> {
        self.tables.keep_part().await
    }

    async fn undo_part(&mut self) -> Result<(), ApplyError> {
        self.released = std::mem::take(&mut self.released_before_part);
        self.tables.undo_part().await
    }

    fn is_preview(&self) -> bool {
        true
    }

    async fn ledger_heads(
        &mut self,
        batch: &[Planned],
    ) -> Result<HashMap<EventKey, LedgerHead>, ApplyError> {
        self.tables.ledger_heads(batch).await
    }

    /// None: what events do when they are processed is what is asked.
    async fn paused_sources(&mut self) -> Result<BTreeSet<SourceName>, ApplyError> {
        Ok(BTreeSet::new())
    }

    /// None: what is previewed belongs to no replay yet.
    async fn open_replays(&mut self, _batch: &[Planned]) -> Result<OpenReplays, ApplyError> {
        Ok(OpenReplays::new())
    }

    async fn settle_replays(
        &mut self,
        _settled: &[Settled<'_>],
        _now: Timestamp,
    ) -> Result<(), ApplyError> {
        Ok(())
    }

    async fn put_back_replays(&mut self, _open: &[OpenReplay]) -> Result<(), ApplyError> {
        Ok(())
    }

    async fn count_failures(
        &mut self,
        _failures: &FailureFold,
        _now: Timestamp,
    ) -> Result<(), ApplyError> {
        Ok(())
    }

    async fn reopen_erasures(&mut self, _about: &BTreeSet<&str>) -> Result<(), ApplyError> {
        Ok(())
    }

    async fn read_facts(&mut self, selection: &Selection) -> Result<Vec<Stored>, ApplyError> {
        self.tables.read_facts(selection).await
    }

    async fn read_rows(
        &mut self,
        shelf: &'static Shelf,
        keys: &[String],
    ) -> Result<Rows, ApplyError> {
        self.tables.read_rows(shelf, keys).await
    }

    async fn hold(&mut self, keys: &BTreeSet<String>) -> Result<Held, ApplyError> {
        self.tables.hold(keys).await
    }

    async fn known_users(
        &mut self,
        ids: &BTreeSet<&UserId>,
    ) -> Result<HashMap<UserId, KnownUser>, ApplyError> {
        self.tables.known_users(ids).await
    }

    async fn write_users(
        &mut self,
        fold: &UserFold<'_>,
        now: Timestamp,
    ) -> Result<BTreeMap<UserId, Outcome>, ApplyError> {
        let written = || fold.mirrored.keys().chain(fold.restated.keys());
        let users = || written().chain(fold.deleted.keys());
        self.note(EntityKind::User, users().map(|user| user.as_str()))
            .await?;
        self.note(EntityKind::UserTombstone, users().map(|user| user.as_str()))
            .await?;
        self.tables.write_users(fold, now).await
    }

    async fn write_facts(&mut self, kind: FactKind, rows: &[Stored]) -> Result<(), ApplyError> {
        let ids = rows.iter().map(|stored| stored.fact.id());
        self.note(kind_of(kind), ids).await?;
        self.tables.write_facts(kind, rows).await
    }

    async fn write_entitlements(
        &mut self,
        entitlements: &Entitlements<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        let users = entitlements.keys().map(|user| user.as_str());
        self.note(EntityKind::Entitlement, users).await?;
        self.tables.write_entitlements(entitlements, now).await
    }

    async fn write_outbox(
        &mut self,
        entitlements: &Entitlements<'_>,
        users: &UserFold<'_>,
        causes: &Causes<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        let told = users.mirrored.keys().chain(users.deleted.keys());
        let told = told.chain(entitlements.keys()).map(|user| user.as_str());
        self.note(EntityKind::Metadata, told).await?;
        self.tables
            .write_outbox(entitlements, users, causes, now)
            .await
    }

    /// Only notes what would be written: the ledger would take some of these for duplicates.
    async fn write_ledger(
        &mut self,
        groups: &[Grouped<'_>],
        outcomes: &[Outcome],
        _now: Timestamp,
    ) -> Result<(), ApplyError> {
        for (grouped, outcome) in groups.iter().zip(outcomes) {
            let planned = grouped.planned;
            let error = match &planned.decision {
                Decision::Apply(_) => None,
                Decision::Fail(failure) | Decision::Retry(failure) => Some(failure.message.clone()),
            };
            let key = planned.event.key.clone();
            let verdict = Verdict {
                key: key.clone(),
                outcome: *outcome,
                error,
            };
            self.verdicts.insert(key, verdict);
        }
        Ok(())
    }

    async fn record_action(
        &mut self,
        action: &OperatorAction,
        matched: u64,
        now: Timestamp,
    ) -> Result<ActionRecord, ApplyError> {
        self.tables.record_action(action, matched, now).await
    }

    async fn release(&mut self, subjects: &[String], now: Timestamp) -> Result<(), ApplyError> {
        let waiting = self.tables.read_rows(&WAITING, subjects).await?;
        let keys = waiting.keys().filter_map(|key| EventKey::parse(key));
        self.released.extend(keys);
        self.tables.release(subjects, now).await
    }
}
