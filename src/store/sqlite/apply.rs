//! A batch in one transaction; a data error is traced to its event by splitting.

use std::collections::HashSet;

use sqlx::sqlite::SqliteConnection;

use super::super::fold::payments::PaymentFold;
use super::super::fold::users::UserFold;
use super::super::fold::{Grouped, group};
use super::{SqliteStore, StoreError, ledger, outbox, payments, unavailable, users};
use crate::model::changes::{Applied, Changes, Decision, Failure, Outcome, Planned};
use crate::model::event::EventKey;
use crate::model::payment::{CheckoutSession, SessionStatus};
use crate::model::time::Timestamp;
use crate::model::user::{User, UserId};

/// The kind of failure of an event whose values the database refuses.
const DATA_REFUSED: &str = "data_refused";

/// Applies a batch. If the database refuses a value, nothing of the attempt is kept and the batch
/// is halved until the event is alone with its error, which is then what is recorded.
pub(super) async fn apply(
    store: &SqliteStore,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, StoreError> {
    let mut applied = Vec::with_capacity(batch.len());
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match attempt(store, part, now).await {
            Ok(done) => applied.extend(done),
            Err(ApplyError::Store(error)) => return Err(error),
            Err(ApplyError::Data(error)) => match part {
                [refused] => {
                    let failed = [fail(refused, &error)];
                    match attempt(store, &failed, now).await {
                        Ok(done) => applied.extend(done),
                        Err(ApplyError::Store(error)) => return Err(error),
                        Err(ApplyError::Data(error)) => {
                            return Err(unavailable("record a failed event")(error));
                        }
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
    Ok(applied)
}

/// The same event with the database's refusal as its decision. SQLite names constraints and
/// columns, not values.
fn fail(planned: &Planned, error: &sqlx::Error) -> Planned {
    let message = format!("the database refuses a value: {error}");
    Planned {
        decision: Decision::Fail(Failure::new(
            DATA_REFUSED,
            &error.to_string(),
            &planned.event.event_type,
            message,
        )),
        ..planned.clone()
    }
}

/// How an attempt to apply can go wrong.
pub(super) enum ApplyError {
    /// A value of some event is refused; would be refused again.
    Data(sqlx::Error),
    /// Anything else.
    Store(StoreError),
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        if is_refusal(&error) {
            Self::Data(error)
        } else {
            Self::Store(unavailable("apply a batch")(error))
        }
    }
}

/// Primary result codes of SQLite that speak of a value: CONSTRAINT, MISMATCH, TOOBIG.
fn is_refusal(error: &sqlx::Error) -> bool {
    let extended: Option<u32> = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse().ok());
    extended.is_some_and(|code| matches!(code & 0xff, 18..=20))
}

async fn attempt(
    store: &SqliteStore,
    batch: &[Planned],
    now: Timestamp,
) -> Result<Vec<Applied>, ApplyError> {
    let mut transaction = store.begin("begin to apply a batch").await?;
    let heads = ledger::heads(&mut transaction, batch).await?;
    let groups = group(batch, &heads);
    let mut outcomes = vec![Outcome::Duplicate; groups.len()];

    for (outcome, grouped) in outcomes.iter_mut().zip(&groups) {
        match grouped.decision() {
            Some(Decision::Fail(failure)) => *outcome = Outcome::Failed(failure.kind),
            Some(Decision::Apply(Changes::Ignore(reason))) => *outcome = Outcome::Ignored(*reason),
            _ => {}
        }
    }
    // Payments first: users that come into being wake what waits for them at Clerk.
    let released = apply_payments(&mut transaction, &groups, &mut outcomes, now).await?;
    apply_users(&mut transaction, &groups, &mut outcomes, now).await?;
    ledger::write(&mut transaction, &groups, &outcomes, now).await?;
    ledger::release(&mut transaction, &released, now).await?;
    transaction.commit().await?;

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
        // An expired session has nothing to wait for, whoever it was.
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
    let mut first: std::collections::HashMap<&EventKey, (Outcome, _)> = groups
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
