//! A batch, in one transaction, whichever engine; a data error is traced to its event by splitting.
//!
//! What a batch comes to is computed in memory by the [`fold`](super::fold); an engine loads rows and
//! writes rows ([`Tables`]). The order of the steps is the order in which an engine with several
//! writers takes its locks, so that two of them do not wait for each other in a circle.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;

use super::fold::payments::{PaymentFold, Sessions};
use super::fold::users::{KnownUser, Mirrored, UserFold};
use super::fold::{Grouped, LedgerHead, group};
use super::problem::{ApplyError, Problem};
use crate::model::changes::{Applied, Changes, Decision, Failure, Outcome, Planned};
use crate::model::entitlement::Entitlement;
use crate::model::event::EventKey;
use crate::model::payment::{CheckoutSession, SessionStatus};
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

    /// Every stored session with the same id or the same customer as one of `incoming`, or as one
    /// of those found. Until the transaction ends, nobody else writes one.
    async fn related_sessions(
        &mut self,
        incoming: &[&CheckoutSession],
    ) -> Result<Sessions, ApplyError>;

    /// Until the transaction ends, nobody else writes what follows from these users' payments, or
    /// deletes one of them.
    async fn lock_users(&mut self, users: &BTreeSet<&UserId>) -> Result<(), ApplyError>;

    /// Every stored session of these users.
    async fn sessions_of(&mut self, users: &BTreeSet<UserId>) -> Result<Sessions, ApplyError>;

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

    /// Writes the sessions that changed.
    async fn write_sessions(&mut self, fold: &PaymentFold) -> Result<(), ApplyError>;

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

    /// Marks the events of payments that waited for their user, and have one now, as applied.
    async fn release(&mut self, sessions: &[String], now: Timestamp) -> Result<(), ApplyError>;
}

/// Applies a batch within one transaction, which the caller begins and commits. If an event cannot be
/// applied, nothing of the attempt is kept and the batch is halved until the event is alone with its
/// error, which is then what is recorded.
pub(super) async fn apply(
    tables: &mut dyn Tables,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    let mut applied = Vec::with_capacity(batch.len());
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match attempt(tables, part, now).await {
            Ok(done) => applied.extend(done),
            Err(ApplyError::Event(problem)) => match part {
                [culprit] => {
                    let failed = [fail(culprit, &problem)];
                    match attempt(tables, &failed, now).await {
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
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    tables.begin_part().await?;
    match apply_part(tables, batch, now).await {
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
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    let heads = tables.ledger_heads(batch).await?;
    let groups = group(batch, &heads);
    let mut outcomes: Vec<Outcome> = groups
        .iter()
        .map(|grouped| without_effect(grouped, now))
        .collect();

    let payments = read_payments(tables, &groups).await?;
    let users = UserChanges::of(&groups);
    let affected = payments.iter().flat_map(|fold| &fold.affected);
    tables
        .lock_users(&affected.chain(users.deleted()).collect())
        .await?;

    let mut user_fold = UserFold::default();
    if !users.is_empty() {
        user_fold = UserFold::new(tables.known_users(&users.ids()).await?);
        users.fold(&mut user_fold, &mut outcomes);
        let changed_since = tables.write_users(&user_fold, now).await?;
        users.correct(&changed_since, &mut outcomes);
    }
    let mut entitlements = Entitlements::new();
    if let Some(fold) = &payments {
        tables.write_sessions(fold).await?;
        let stored = tables.sessions_of(&fold.affected).await?;
        entitlements = fold.entitlements(stored);
        tables.write_entitlements(&entitlements, now).await?;
        for (outcome, grouped) in outcomes.iter_mut().zip(&groups) {
            if let Some(session) = checkout(grouped) {
                *outcome = recorded(fold, session);
            }
        }
    }
    if !entitlements.is_empty() || !users.is_empty() {
        tables.write_outbox(&entitlements, &user_fold, now).await?;
    }
    tables.write_ledger(&groups, &outcomes, now).await?;
    if let Some(fold) = &payments {
        tables.release(&fold.released, now).await?;
    }
    Ok(answers(batch, &groups, &outcomes))
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

async fn read_payments(
    tables: &mut dyn Tables,
    groups: &[Grouped<'_>],
) -> Result<Option<PaymentFold>, ApplyError> {
    let incoming: Vec<&CheckoutSession> = groups.iter().filter_map(checkout).collect();
    if incoming.is_empty() {
        return Ok(None);
    }
    let related = tables.related_sessions(&incoming).await?;
    Ok(Some(PaymentFold::new(related, incoming)))
}

fn checkout<'a>(grouped: &Grouped<'a>) -> Option<&'a CheckoutSession> {
    match grouped.decision()? {
        Decision::Apply(Changes::RecordCheckout(session)) => Some(session),
        _ => None,
    }
}

fn recorded(fold: &PaymentFold, session: &CheckoutSession) -> Outcome {
    let attributed = fold
        .session(&session.id)
        .is_some_and(|known| known.user.is_some());
    // An expired session has nothing to wait for, whosever it was.
    if attributed || session.status == SessionStatus::Expired {
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
