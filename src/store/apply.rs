//! A batch, in one transaction, whichever engine; a data error is traced to its event by splitting.
//!
//! What a batch comes to is computed in memory by the [`fold`](super::fold); an engine loads rows and
//! writes rows ([`Tables`]). Where there are several writers, each finds out what it touches, keeps
//! that for itself, and looks again: if there is more by now, it gives way and begins anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;

use super::facts::Stored;
use super::fold::payments::PaymentFold;
use super::fold::users::{KnownUser, Mirrored, UserFold};
use super::fold::{Grouped, LedgerHead, group};
use super::problem::{ApplyError, Problem};
use super::related::{Selection, keys, of_users, related};
use crate::model::changes::{Applied, Changes, Decision, Failure, Outcome, Planned};
use crate::model::entitlement::{self, Entitlement, Policy};
use crate::model::event::EventKey;
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::payment::{Fact, FactKind, SessionStatus, by_user};
use crate::model::retry;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Entitlements by user; `None` for a user who has no facts any more.
pub(super) type Entitlements<'a> = BTreeMap<&'a UserId, Option<Entitlement>>;

/// The rows that a batch touches, read and written in the one transaction that this belongs to.
#[async_trait]
pub(super) trait Tables: Send {
    /// Begins a part that can be undone. Parts do not nest.
    async fn begin_part(&mut self) -> Result<(), ApplyError>;
    /// Keeps what the part wrote.
    async fn keep_part(&mut self) -> Result<(), ApplyError>;
    /// Undoes what the part wrote, after an error too.
    async fn undo_part(&mut self) -> Result<(), ApplyError>;

    /// What the ledger knows of the events of a batch.
    async fn ledger_heads(
        &mut self,
        batch: &[Planned],
    ) -> Result<HashMap<EventKey, LedgerHead>, ApplyError>;

    /// Reads stored facts.
    async fn read_facts(&mut self, selection: &Selection) -> Result<Vec<Stored>, ApplyError>;

    /// Until the transaction ends, nobody else holds any of these keys. Answers whether somebody may
    /// have held one of them since the transaction began.
    async fn hold(&mut self, keys: &BTreeSet<String>) -> Result<bool, ApplyError>;

    /// What the mirror knows of these users.
    async fn known_users(
        &mut self,
        ids: &BTreeSet<&UserId>,
    ) -> Result<HashMap<UserId, KnownUser>, ApplyError>;

    /// Writes what the batch does to users. Answers what became of users whom another writer has
    /// changed since they were read, where that differs from what the fold says.
    async fn write_users(
        &mut self,
        fold: &UserFold<'_>,
        now: Timestamp,
    ) -> Result<BTreeMap<UserId, Outcome>, ApplyError>;

    /// Writes facts of one kind, each with all that is known of it, ordered by id.
    async fn write_facts(&mut self, kind: FactKind, rows: &[Stored]) -> Result<(), ApplyError>;

    /// Writes the entitlements of the affected users; who has no facts any more has none.
    async fn write_entitlements(
        &mut self,
        entitlements: &Entitlements<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Makes the metadata that follows from these entitlements the desired one. Then lets the outbox
    /// follow the users: deleted ones need no metadata, and one who appears after Clerk did not know
    /// it is worth another attempt.
    async fn write_outbox(
        &mut self,
        entitlements: &Entitlements<'_>,
        users: &UserFold<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Writes the row of each event, and an attempt where it did not simply succeed at once.
    async fn write_ledger(
        &mut self,
        groups: &[Grouped<'_>],
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Records what an operator asked for, which was so much; what was changed of it depends on whether
    /// it is a dry run.
    async fn record_action(
        &mut self,
        action: &OperatorAction,
        matched: u64,
        now: Timestamp,
    ) -> Result<ActionRecord, ApplyError>;

    /// Marks the events about these subjects that waited for their user as applied.
    async fn release(&mut self, subjects: &[String], now: Timestamp) -> Result<(), ApplyError>;
}

/// Applies a batch within one transaction, which the caller begins and commits. If an event cannot be
/// applied, nothing of the attempt is kept and the batch is halved until the event is alone with its
/// error, which is then what is recorded.
pub(super) async fn apply(
    tables: &mut dyn Tables,
    batch: &[Planned],
    policy: Policy,
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    let mut applied = Vec::with_capacity(batch.len());
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match attempt(tables, part, policy, now).await {
            Ok(done) => applied.extend(done),
            Err(ApplyError::Event(problem)) => match part {
                [culprit] => {
                    let failed = [fail(culprit, &problem)];
                    match attempt(tables, &failed, policy, now).await {
                        Ok(done) => applied.extend(done),
                        // Not even that can be recorded: nothing that a smaller part would cure.
                        Err(error) => {
                            let error = error.into_store_error("record a failed event");
                            return Err(ApplyError::Store(error));
                        }
                    }
                }
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second);
                    parts.push(first);
                }
            },
            Err(error) => return Err(error),
        }
    }
    Ok(applied)
}

/// The same event with its problem as the decision.
fn fail(planned: &Planned, problem: &Problem) -> Planned {
    Planned {
        decision: Decision::Fail(Failure::new(
            problem.kind,
            &problem.place,
            &planned.event.event_type,
            problem.message.clone(),
        )),
        ..planned.clone()
    }
}

/// Applies a part of a batch, or leaves no trace of it.
async fn attempt(
    tables: &mut dyn Tables,
    batch: &[Planned],
    policy: Policy,
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    tables.begin_part().await?;
    match apply_part(tables, batch, policy, now).await {
        Ok(applied) => {
            tables.keep_part().await?;
            Ok(applied)
        }
        Err(ApplyError::Event(problem)) => {
            tables.undo_part().await?;
            Err(ApplyError::Event(problem))
        }
        Err(error) => Err(error),
    }
}

async fn apply_part(
    tables: &mut dyn Tables,
    batch: &[Planned],
    policy: Policy,
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    let heads = tables.ledger_heads(batch).await?;
    let groups = group(batch, &heads);
    let mut outcomes: Vec<Outcome> = groups
        .iter()
        .map(|grouped| without_effect(grouped, now))
        .collect();

    let facts: Vec<&Fact> = groups.iter().filter_map(fact).collect();
    let users = UserChanges::of(&groups);
    let payments = hold(tables, &facts, users.deleted()).await?;

    let mut user_fold = UserFold::default();
    if !users.is_empty() {
        user_fold = UserFold::new(tables.known_users(&users.ids()).await?);
        users.fold(&mut user_fold, &mut outcomes);
        let changed_since = tables.write_users(&user_fold, now).await?;
        users.correct(&changed_since, &mut outcomes);
    }
    let entitlements = write_payments(tables, &payments, policy, now).await?;
    for (outcome, grouped) in outcomes.iter_mut().zip(&groups) {
        if let Some(fact) = fact(grouped) {
            *outcome = recorded(&payments, fact);
        }
    }
    if !entitlements.is_empty() || !users.is_empty() {
        tables.write_outbox(&entitlements, &user_fold, now).await?;
    }
    tables.write_ledger(&groups, &outcomes, now).await?;
    tables.release(&payments.released, now).await?;
    Ok(answers(batch, &groups, &outcomes))
}

/// Joins `incoming` facts with all that hangs together with them, with nobody else writing any of
/// it, nor what follows from it, nor these `deleted` users.
pub(super) async fn hold<'a>(
    tables: &mut dyn Tables,
    incoming: &[&Fact],
    deleted: impl Iterator<Item = &'a UserId>,
) -> Result<PaymentFold, ApplyError> {
    let known = related(tables, incoming.iter().copied()).await?;
    let fold = PaymentFold::new(&known, incoming.iter().copied());
    let mut held = keys_of(&fold);
    held.extend(deleted.map(key_of));
    if held.is_empty() || !tables.hold(&held).await? || incoming.is_empty() {
        return Ok(fold);
    }
    let known = related(tables, incoming.iter().copied()).await?;
    let fold = PaymentFold::new(&known, incoming.iter().copied());
    if held.is_superset(&keys_of(&fold)) {
        Ok(fold)
    } else {
        Err(ApplyError::Outgrown)
    }
}

fn keys_of(fold: &PaymentFold) -> BTreeSet<String> {
    let mut keys = keys(fold.facts());
    keys.extend(fold.affected.iter().map(key_of));
    keys
}

pub(super) fn key_of(user: &UserId) -> String {
    format!("user/{user}")
}

/// Writes the facts that changed and what follows from them for each user.
pub(super) async fn write_payments<'f>(
    tables: &mut dyn Tables,
    fold: &'f PaymentFold,
    policy: Policy,
    now: Timestamp,
) -> Result<Entitlements<'f>, ApplyError> {
    for (kind, rows) in fold.rows() {
        tables.write_facts(kind, &rows).await?;
    }
    entitle(tables, &fold.affected, policy, now).await
}

/// Derives the entitlement of each of these users anew, from all that is stored, and writes it.
pub(super) async fn entitle<'u>(
    tables: &mut dyn Tables,
    users: &'u BTreeSet<UserId>,
    policy: Policy,
    now: Timestamp,
) -> Result<Entitlements<'u>, ApplyError> {
    let entitlements = judge(tables, users, policy).await?;
    if !entitlements.is_empty() {
        tables.write_entitlements(&entitlements, now).await?;
    }
    Ok(entitlements)
}

/// What all that is stored comes to for each of these users.
pub(super) async fn judge<'u>(
    tables: &mut dyn Tables,
    users: &'u BTreeSet<UserId>,
    policy: Policy,
) -> Result<Entitlements<'u>, ApplyError> {
    if users.is_empty() {
        return Ok(Entitlements::new());
    }
    let stored = of_users(tables, users).await?;
    let facts = by_user(&stored.facts, &stored.owners);
    let judged = users.iter().map(|user| {
        let facts = facts.get(user);
        (
            user,
            facts.and_then(|facts| entitlement::decide(facts, policy)),
        )
    });
    Ok(judged.collect())
}

/// The outcome of an event that changes neither users nor payments. For the others a stopgap.
fn without_effect(grouped: &Grouped<'_>, now: Timestamp) -> Outcome {
    match grouped.decision() {
        None => Outcome::Duplicate,
        Some(Decision::Fail(failure)) => Outcome::Failed(failure.kind),
        Some(Decision::Retry(failure)) => {
            let key = &grouped.planned.event.key;
            match retry::next_attempt(key, grouped.attempt(), now) {
                Some(at) => Outcome::Retrying {
                    kind: failure.kind,
                    at,
                },
                None => Outcome::Failed(failure.kind),
            }
        }
        Some(Decision::Apply(Changes::Ignore(reason))) => Outcome::Ignored(*reason),
        Some(Decision::Apply(_)) => Outcome::Duplicate,
    }
}

fn fact<'a>(grouped: &Grouped<'a>) -> Option<&'a Fact> {
    match grouped.decision()? {
        Decision::Apply(Changes::RecordPayment(fact)) => Some(fact),
        _ => None,
    }
}

fn recorded(fold: &PaymentFold, fact: &Fact) -> Outcome {
    // What is over has nothing to wait for, whosever it was.
    let is_over = match fact {
        Fact::CheckoutSession(session) => session.status == SessionStatus::Expired,
        Fact::Subscription(subscription) => subscription.status.is_end(),
        _ => false,
    };
    if is_over || fold.is_owned(fact.kind(), fact.id()) {
        Outcome::PaymentRecorded
    } else {
        Outcome::PaymentUnattributed
    }
}

enum UserChange<'a> {
    Mirror(Mirrored<'a>),
    Delete(&'a UserId, Timestamp),
}

impl<'a> UserChange<'a> {
    fn id(&self) -> &'a UserId {
        match self {
            Self::Mirror(mirrored) => &mirrored.user.id,
            Self::Delete(id, _) => id,
        }
    }
}

/// What a batch says about users, each with its place in the batch.
struct UserChanges<'a>(Vec<(usize, UserChange<'a>)>);

impl<'a> UserChanges<'a> {
    fn of(groups: &[Grouped<'a>]) -> Self {
        let changes = groups.iter().enumerate();
        let changes = changes.filter_map(|(place, grouped)| match grouped.decision()? {
            Decision::Apply(Changes::MirrorUser(user)) => {
                let source = &grouped.planned.event.key.source;
                Some((place, UserChange::Mirror(Mirrored { user, source })))
            }
            Decision::Apply(Changes::DeleteUser { id, deleted_at }) => {
                Some((place, UserChange::Delete(id, *deleted_at)))
            }
            _ => None,
        });
        Self(changes.collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn ids(&self) -> BTreeSet<&'a UserId> {
        self.0.iter().map(|(_, change)| change.id()).collect()
    }

    fn deleted(&self) -> impl Iterator<Item = &'a UserId> {
        self.0.iter().filter_map(|(_, change)| match change {
            UserChange::Mirror(_) => None,
            UserChange::Delete(id, _) => Some(*id),
        })
    }

    fn fold(&self, fold: &mut UserFold<'a>, outcomes: &mut [Outcome]) {
        for (place, change) in &self.0 {
            outcomes[*place] = match change {
                UserChange::Mirror(mirrored) => fold.mirror(*mirrored),
                UserChange::Delete(id, deleted_at) => fold.delete(id, *deleted_at),
            };
        }
    }

    fn correct(&self, changed_since: &BTreeMap<UserId, Outcome>, outcomes: &mut [Outcome]) {
        for (place, change) in &self.0 {
            if outcomes[*place] == Outcome::UserMirrored
                && let Some(outcome) = changed_since.get(change.id())
            {
                outcomes[*place] = *outcome;
            }
        }
    }
}

/// One answer for each entry of the batch: the first entry of an event has its outcome, later ones
/// are duplicates of it.
fn answers(batch: &[Planned], groups: &[Grouped<'_>], outcomes: &[Outcome]) -> Vec<Applied> {
    let mut first: HashMap<&EventKey, (Outcome, _)> = groups
        .iter()
        .zip(outcomes)
        .map(|(grouped, outcome)| {
            let before = grouped.head.map(|head| head.state);
            (&grouped.planned.event.key, (*outcome, before))
        })
        .collect();
    batch
        .iter()
        .filter_map(|planned| {
            let (outcome, before) = first.get_mut(&planned.event.key)?;
            let state = outcome.state().or(*before)?;
            let applied = Applied {
                key: planned.event.key.clone(),
                state,
                outcome: *outcome,
            };
            *before = Some(state);
            *outcome = Outcome::Duplicate;
            Some(applied)
        })
        .collect()
}
