//! A batch, in one transaction, whichever engine; a data error is traced to its event by splitting.
//!
//! What a batch comes to is computed in memory by the [`fold`]; an engine loads rows and
//! writes rows ([`Tables`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::erasure;
use super::fold::failures::FailureFold;
use super::fold::payments::PaymentFold;
use super::fold::users::{Mirrored, UserFold};
use super::fold::{self, Grouped, OpenReplay, OpenReplays, group, pause};
use super::payments;
use super::problem::{ApplyError, Problem};
use super::replays::Settled;
use super::tables::{Causes, Tables};
use crate::model::changes::{Applied, Changes, Decision, Failure, Outcome, Planned};
use crate::model::entitlement::Policy;
use crate::model::event::{EventKey, Trigger};
use crate::model::payment::Fact;
use crate::model::retry;
use crate::model::state::EventState;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

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
    let mut failures = FailureFold::default();
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match attempt(tables, part, policy, now).await {
            Ok(done) => {
                failures.add(part, &done);
                applied.extend(done);
            }
            Err(ApplyError::Event(problem)) => match part {
                [culprit] => {
                    let failed = [fail(culprit, &problem)];
                    match attempt(tables, &failed, policy, now).await {
                        Ok(done) => {
                            failures.add(&failed, &done);
                            applied.extend(done);
                        }
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
    if !failures.is_empty() {
        tables.count_failures(&failures, now).await?;
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
    let open = open_replays(tables, batch).await?;
    let heads = tables.ledger_heads(batch).await?;
    let mut groups = group(batch, &heads, &open);
    if tables.is_preview() {
        fold::preview(&mut groups);
    }
    pause(&mut groups, &tables.paused_sources().await?);
    let mut outcomes: Vec<Outcome> = groups
        .iter()
        .map(|grouped| without_effect(grouped, now))
        .collect();

    let facts: Vec<&Fact> = groups.iter().filter_map(fact).collect();
    let users = UserChanges::of(&groups);
    let replayed = groups.iter().filter(|grouped| grouped.is_replayed());
    let replayed: Vec<&Fact> = replayed.filter_map(fact).collect();
    let held = payments::hold(tables, &facts, &replayed, users.deleted()).await?;

    let mut user_fold = UserFold::default();
    if !users.is_empty() {
        user_fold = UserFold::new(tables.known_users(&users.ids()).await?);
        users.fold(&mut user_fold, &mut outcomes);
        let different = tables.write_users(&user_fold, now).await?;
        users.correct(&different, &mut outcomes);
    }
    let entitlements = payments::write(tables, &held, policy, now).await?;
    for (outcome, grouped) in outcomes.iter_mut().zip(&groups) {
        if let Some(fact) = fact(grouped) {
            *outcome = recorded(&held, fact);
        }
    }
    if !entitlements.is_empty() || !users.is_empty() {
        let causes = causes(&groups, &held);
        tables
            .write_outbox(&entitlements, &user_fold, &causes, now)
            .await?;
    }
    tables.write_ledger(&groups, &outcomes, now).await?;
    erasure::reopen(tables, &groups, &held).await?;
    tables.release(&held.released, now).await?;
    let settled = settled(&groups, &outcomes);
    if !settled.is_empty() {
        tables.settle_replays(&settled, now).await?;
    }
    let put_back: Vec<OpenReplay> = groups.iter().flat_map(Grouped::put_back).copied().collect();
    if !put_back.is_empty() {
        tables.put_back_replays(&put_back).await?;
    }
    Ok(answers(batch, &groups, &outcomes))
}

async fn open_replays(
    tables: &mut dyn Tables,
    batch: &[Planned],
) -> Result<OpenReplays, ApplyError> {
    let is_replay = |planned: &Planned| matches!(planned.event.trigger, Trigger::Replay(_));
    if batch.iter().any(is_replay) {
        tables.open_replays(batch).await
    } else {
        Ok(OpenReplays::new())
    }
}

fn settled<'a>(groups: &[Grouped<'a>], outcomes: &[Outcome]) -> Vec<Settled<'a>> {
    let entries = groups.iter().zip(outcomes);
    let settled = entries.flat_map(|(grouped, outcome)| {
        grouped.settled().iter().map(|open| Settled {
            replay: open.replay,
            position: open.position,
            event: &grouped.planned.event.key,
            outcome: outcome.as_str(),
            error: grouped.failure().map(|failure| failure.message.clone()),
            fingerprint: grouped
                .failure()
                .map(|failure| failure.fingerprint.as_str()),
        })
    });
    settled.collect()
}

/// The outcome of an event that changes neither users nor payments. For the others a stopgap.
fn without_effect(grouped: &Grouped<'_>, now: Timestamp) -> Outcome {
    match grouped.decision() {
        None if grouped.is_parked() => Outcome::Parked,
        None => Outcome::Duplicate,
        Some(Decision::Fail(failure)) => Outcome::Failed(failure.kind),
        Some(Decision::Retry(failure)) => {
            let key = &grouped.planned.event.key;
            let next = retry::next_attempt(key, grouped.attempt(), now);
            let stands = grouped.state_after(EventState::Retrying) != EventState::Retrying;
            match next.filter(|_| !stands) {
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

fn causes<'f>(groups: &[Grouped<'_>], fold: &'f PaymentFold) -> Causes<'f> {
    let facts = groups.iter().filter_map(|grouped| {
        let trace = grouped.planned.event.trace?;
        Some((fact(grouped)?, trace))
    });
    facts
        .flat_map(|(fact, trace)| {
            fold.users_of(fact)
                .into_iter()
                .map(move |user| (user, trace))
        })
        .collect()
}

fn recorded(fold: &PaymentFold, fact: &Fact) -> Outcome {
    if fold.waits(fact) {
        Outcome::PaymentUnattributed
    } else {
        Outcome::PaymentRecorded
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

/// What an event says about a user.
struct UserEvent<'a> {
    /// Of the event in the batch.
    place: usize,
    is_replayed: bool,
    change: UserChange<'a>,
}

/// What a batch says about users.
struct UserChanges<'a>(Vec<UserEvent<'a>>);

impl<'a> UserChanges<'a> {
    fn of(groups: &[Grouped<'a>]) -> Self {
        let changes = groups.iter().enumerate();
        let changes = changes.filter_map(|(place, grouped)| {
            let change = match grouped.decision()? {
                Decision::Apply(Changes::MirrorUser(user)) => {
                    let source = &grouped.planned.event.key.source;
                    UserChange::Mirror(Mirrored { user, source })
                }
                Decision::Apply(Changes::DeleteUser { id, deleted_at }) => {
                    UserChange::Delete(id, *deleted_at)
                }
                _ => return None,
            };
            Some(UserEvent {
                place,
                is_replayed: grouped.is_replayed(),
                change,
            })
        });
        Self(changes.collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn ids(&self) -> BTreeSet<&'a UserId> {
        self.0.iter().map(|event| event.change.id()).collect()
    }

    fn deleted(&self) -> impl Iterator<Item = &'a UserId> {
        self.0.iter().filter_map(|event| match &event.change {
            UserChange::Mirror(_) => None,
            UserChange::Delete(id, _) => Some(*id),
        })
    }

    fn fold(&self, fold: &mut UserFold<'a>, outcomes: &mut [Outcome]) {
        for event in &self.0 {
            outcomes[event.place] = match &event.change {
                UserChange::Mirror(mirrored) => fold.mirror(*mirrored, event.is_replayed),
                UserChange::Delete(id, deleted_at) => {
                    fold.delete(id, *deleted_at, event.is_replayed)
                }
            };
        }
    }

    fn correct(&self, different: &BTreeMap<UserId, Outcome>, outcomes: &mut [Outcome]) {
        for event in &self.0 {
            let outcome = &mut outcomes[event.place];
            let was_looked_at = match outcome {
                Outcome::UserMirrored => true,
                Outcome::UserUnchanged => event.is_replayed,
                _ => false,
            };
            if was_looked_at && let Some(instead) = different.get(event.change.id()) {
                *outcome = *instead;
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
            let after = outcome.state().map(|state| grouped.state_after(state));
            let state = after.or(grouped.head.map(|head| head.state));
            (&grouped.planned.event.key, (*outcome, state))
        })
        .collect();
    batch
        .iter()
        .filter_map(|planned| {
            let (outcome, state) = first.get_mut(&planned.event.key)?;
            let applied = Applied {
                key: planned.event.key.clone(),
                state: (*state)?,
                outcome: *outcome,
            };
            *outcome = Outcome::Duplicate;
            Some(applied)
        })
        .collect()
}
