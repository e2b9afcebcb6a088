//! A batch in one transaction; a data error is traced to its event by splitting.

use std::collections::{HashMap, HashSet};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::super::fold::payments::PaymentFold;
use super::super::fold::users::UserFold;
use super::super::fold::{Grouped, group};
use super::problem::{ApplyError, Problem};
use super::{SqliteStore, StoreError, ledger, outbox, payments, unavailable, users};
use crate::model::changes::{Applied, Changes, Decision, Failure, Outcome, Planned};
use crate::model::event::EventKey;
use crate::model::payment::{CheckoutSession, SessionStatus};
use crate::model::time::Timestamp;
use crate::model::user::{User, UserId};

/// Applies a batch in one transaction. If an event cannot be applied, nothing of the attempt is kept
/// and the batch is halved until the event is alone with its error, which is then what is recorded.
pub(super) async fn apply(
    store: &SqliteStore,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, StoreError> {
    let mut transaction = store.begin("begin to apply a batch").await?;
    let mut applied = Vec::with_capacity(batch.len());
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match attempt(&mut transaction, part, now).await {
            Ok(done) => applied.extend(done),
            Err(ApplyError::Store(error)) => return Err(error),
            Err(ApplyError::Event(problem)) => match part {
                [culprit] => {
                    let failed = [fail(culprit, &problem)];
                    match attempt(&mut transaction, &failed, now).await {
                        Ok(done) => applied.extend(done),
                        Err(ApplyError::Store(error)) => return Err(error),
                        Err(ApplyError::Event(problem)) => return Err(unrecorded(problem)),
                    }
                }
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second);
                    parts.push(first);
                }
            },
        }
    }
    transaction
        .commit()
        .await
        .map_err(unavailable("commit a batch"))?;
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

fn unrecorded(problem: Problem) -> StoreError {
    StoreError::Unavailable {
        action: "record a failed event",
        source: problem.message.into(),
    }
}

/// Applies a part of a batch, or leaves no trace of it.
async fn attempt(
    transaction: &mut SqliteConnection,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    let mut savepoint = transaction.begin().await?;
    let heads = ledger::heads(&mut savepoint, batch).await?;
    let groups = group(batch, &heads);
    let mut outcomes = vec![Outcome::Duplicate; groups.len()];

    for (outcome, grouped) in outcomes.iter_mut().zip(&groups) {
        match grouped.decision() {
            Some(Decision::Fail(failure)) => *outcome = Outcome::Failed(failure.kind),
            Some(Decision::Apply(Changes::Ignore(reason))) => *outcome = Outcome::Ignored(*reason),
            _ => {}
        }
    }
    // Payments first: a user that is new in this batch makes the metadata of its payments due at once.
    let released = apply_payments(&mut savepoint, &groups, &mut outcomes, now).await?;
    apply_users(&mut savepoint, &groups, &mut outcomes, now).await?;
    ledger::write(&mut savepoint, &groups, &outcomes, now).await?;
    ledger::release(&mut savepoint, &released, now).await?;
    savepoint.commit().await?;

    Ok(answers(batch, &groups, &outcomes))
}

async fn apply_users(
    connection: &mut SqliteConnection,
    groups: &[Grouped<'_>],
    outcomes: &mut [Outcome],
    now: Timestamp,
) -> Result<(), ApplyError> {
    enum Change<'a> {
        Mirror(&'a User),
        Delete(&'a UserId, Timestamp),
    }
    let changes: Vec<(usize, Change<'_>)> = groups
        .iter()
        .enumerate()
        .filter_map(|(place, grouped)| match grouped.decision()? {
            Decision::Apply(Changes::MirrorUser(user)) => Some((place, Change::Mirror(user))),
            Decision::Apply(Changes::DeleteUser { id, deleted_at }) => {
                Some((place, Change::Delete(id, *deleted_at)))
            }
            _ => None,
        })
        .collect();
    if changes.is_empty() {
        return Ok(());
    }

    let ids: HashSet<&UserId> = changes
        .iter()
        .map(|(_, change)| match change {
            Change::Mirror(user) => &user.id,
            Change::Delete(id, _) => *id,
        })
        .collect();
    let mut fold = UserFold::new(users::known(connection, &ids).await?);
    for (place, change) in changes {
        outcomes[place] = match change {
            Change::Mirror(user) => fold.mirror(user),
            Change::Delete(id, deleted_at) => fold.delete(id, deleted_at),
        };
    }
    users::write(connection, &fold, now).await?;
    outbox::follow_users(connection, &fold, now).await
}

/// Answers the sessions that have a user now and had none before.
async fn apply_payments(
    connection: &mut SqliteConnection,
    groups: &[Grouped<'_>],
    outcomes: &mut [Outcome],
    now: Timestamp,
) -> Result<Vec<String>, ApplyError> {
    let incoming: Vec<(usize, &CheckoutSession)> = groups
        .iter()
        .enumerate()
        .filter_map(|(place, grouped)| match grouped.decision()? {
            Decision::Apply(Changes::RecordCheckout(session)) => Some((place, &**session)),
            _ => None,
        })
        .collect();
    if incoming.is_empty() {
        return Ok(Vec::new());
    }

    let related =
        payments::related(connection, incoming.iter().map(|(_, session)| *session)).await?;
    let fold = PaymentFold::new(related, incoming.iter().map(|(_, session)| *session));
    payments::write(connection, &fold).await?;
    let stored = payments::of_users(connection, &fold.affected).await?;
    let entitlements = fold.entitlements(stored);
    payments::write_entitlements(connection, &entitlements, now).await?;
    outbox::desire(connection, &entitlements, now).await?;

    for (place, session) in incoming {
        let attributed = fold
            .session(&session.id)
            .is_some_and(|known| known.user.is_some());
        // An expired session has nothing to wait for, whosever it was.
        outcomes[place] = if attributed || session.status == SessionStatus::Expired {
            Outcome::PaymentRecorded
        } else {
            Outcome::PaymentUnattributed
        };
    }
    Ok(fold.released)
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
