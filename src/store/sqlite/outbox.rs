//! `outbox`: what Clerk's metadata should be, and whether it is.

use std::collections::BTreeMap;

use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use super::super::fold::users::UserFold;
use super::super::problem::{ApplyError, unavailable};
use super::super::tables::Causes;
use super::rows::{Reader, json_list};
use super::{SqliteStore, StoreError};
use crate::model::entitlement::{Entitlement, desired_metadata};
use crate::model::outbox::{DeliveryOutcome, DeliveryState, OutboxLease, Recipients};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::trace::TraceContext;
use crate::model::user::{Revision, UserId};

/// Makes the metadata that follows from these entitlements the desired one.
///
/// Nothing is due where Clerk is known to hold it already. An entry that is leased becomes due when
/// its lease ends, so that two writes for one user are never on their way at once.
pub(super) async fn desire(
    connection: &mut SqliteConnection,
    entitlements: &BTreeMap<&UserId, Option<Entitlement>>,
    causes: &Causes<'_>,
    now: Timestamp,
) -> Result<(), ApplyError> {
    for (user, entitlement) in entitlements {
        let desired = desired_metadata(entitlement.as_ref()).to_string();
        // Without facts there is nothing to say, except to take back what was said before.
        let insert_if_absent = entitlement.is_some();
        sqlx::query(
            "INSERT INTO outbox \
             (user_id, state, desired, desired_at, failures, lease, next_attempt_at, updated_at, \
             traceparent) SELECT ?1, 'pending', ?2, ?3, 0, 0, ?3, ?3, ?5 \
             WHERE ?4 OR EXISTS (SELECT 1 FROM outbox WHERE user_id = ?1) \
             ON CONFLICT (user_id) DO UPDATE SET desired = excluded.desired, \
             desired_at = excluded.desired_at, \
             state = CASE WHEN delivered = excluded.desired THEN 'delivered' ELSE 'pending' END, \
             next_attempt_at = CASE WHEN delivered = excluded.desired THEN NULL \
             ELSE MAX(excluded.next_attempt_at, COALESCE(leased_until, '')) END, \
             failures = 0, last_error = NULL, updated_at = excluded.updated_at, \
             traceparent = excluded.traceparent WHERE desired <> excluded.desired",
        )
        .bind(user.as_str())
        .bind(desired)
        .bind(now.to_string())
        .bind(insert_if_absent)
        .bind(causes.get(user).map(TraceContext::to_string))
        .execute(&mut *connection)
        .await?;
    }
    let users = json_list(entitlements.keys().map(|user| user.as_str()));
    sqlx::query(
        "UPDATE outbox SET state = 'user_gone', next_attempt_at = NULL, updated_at = ? \
         WHERE state <> 'user_gone' AND user_id IN (SELECT value FROM json_each(?)) \
         AND user_id IN (SELECT id FROM user_tombstones)",
    )
    .bind(now.to_string())
    .bind(users)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Deleted users need no metadata; a user who appears after Clerk did not know it is worth another
/// attempt.
pub(super) async fn follow_users(
    connection: &mut SqliteConnection,
    fold: &UserFold<'_>,
    now: Timestamp,
) -> Result<(), ApplyError> {
    if !fold.deleted.is_empty() {
        sqlx::query(
            "UPDATE outbox SET state = 'user_gone', next_attempt_at = NULL, updated_at = ? \
             WHERE state <> 'user_gone' AND user_id IN (SELECT value FROM json_each(?))",
        )
        .bind(now.to_string())
        .bind(json_list(fold.deleted.keys().map(|id| id.as_str())))
        .execute(&mut *connection)
        .await?;
    }
    if !fold.mirrored.is_empty() {
        sqlx::query(
            "UPDATE outbox SET state = 'pending', next_attempt_at = ?1, updated_at = ?1 \
             WHERE state = 'user_gone' AND user_id IN (SELECT value FROM json_each(?2))",
        )
        .bind(now.to_string())
        .bind(json_list(fold.mirrored.keys().map(|id| id.as_str())))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Leases what is due. While a write is under way, what Clerk holds is not known.
pub(super) async fn lease(
    store: &SqliteStore,
    of: &Recipients,
    limit: u32,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<OutboxLease>, StoreError> {
    // Looking first keeps an idle dispatcher from writing, and so from syncing, all the time.
    match next_due(&store.readers, of).await? {
        Some(due) if due <= now => {}
        _ => return Ok(Vec::new()),
    }
    let action = "lease entries of the outbox";
    let mut transaction = store.begin(action).await?;
    let rows = sqlx::query(
        "SELECT user_id, desired, delivered, lease + 1 AS lease, failures, traceparent, \
         (SELECT revision FROM users WHERE users.id = outbox.user_id) AS mirrored FROM outbox \
         WHERE state = 'pending' AND next_attempt_at <= ?1 \
         AND (?3 IS NULL OR COALESCE((SELECT source FROM users \
         WHERE users.id = outbox.user_id), ?4) = ?3) ORDER BY next_attempt_at LIMIT ?2",
    )
    .bind(now.to_string())
    .bind(limit)
    .bind(of.instance().map(SourceName::as_str))
    .bind(of.of_strangers().map(SourceName::as_str))
    .fetch_all(&mut *transaction)
    .await
    .map_err(unavailable(action))?;
    let users = rows.iter().filter_map(|row| row.try_get("user_id").ok());
    sqlx::query(
        "UPDATE outbox SET lease = lease + 1, leased_until = ?1, next_attempt_at = ?1, \
         delivered = NULL WHERE user_id IN (SELECT value FROM json_each(?2))",
    )
    .bind(until.to_string())
    .bind(json_list(users))
    .execute(&mut *transaction)
    .await
    .map_err(unavailable(action))?;
    transaction.commit().await.map_err(unavailable(action))?;
    rows.iter()
        .map(|row| {
            let user: &str = row.try_get("user_id").unwrap_or_default();
            let reader = Reader::new("outbox", user, row);
            Ok(OutboxLease {
                user_id: reader.parse("user_id", UserId::parse)?,
                desired: reader.parse("desired", |text| serde_json::from_str(text).ok())?,
                delivered: reader
                    .parse_optional("delivered", |text| serde_json::from_str(text).ok())?,
                lease: reader.get("lease")?,
                failures: reader.count("failures")?,
                trace: reader
                    .get::<Option<&str>>("traceparent")?
                    .and_then(TraceContext::parse),
                mirrored: reader
                    .get::<Option<String>>("mirrored")?
                    .map(Revision::from_stored),
            })
        })
        .collect()
}

/// Records how a delivery ended, if the lease still holds.
pub(super) async fn settle(
    store: &SqliteStore,
    lease: &OutboxLease,
    outcome: &DeliveryOutcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    let action = "record a delivery to Clerk";
    let mut transaction = store.begin(action).await?;
    let recorded = async {
        record(&mut transaction, lease, outcome, now).await?;
        transaction.commit().await
    };
    recorded.await.map_err(unavailable(action))
}

/// As nothing was sent, Clerk holds what it held before the lease.
async fn hand_back(
    connection: &mut SqliteConnection,
    lease: &OutboxLease,
    again_at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET leased_until = NULL, delivered = ?1, \
         state = CASE WHEN desired = ?1 THEN 'delivered' ELSE 'pending' END, \
         next_attempt_at = CASE WHEN desired = ?1 THEN NULL ELSE ?2 END \
         WHERE user_id = ?3 AND lease = ?4 AND state = 'pending'",
    )
    .bind(lease.delivered.as_ref().map(ToString::to_string))
    .bind(again_at.to_string())
    .bind(lease.user_id.as_str())
    .bind(lease.lease)
    .execute(connection)
    .await?;
    Ok(())
}

async fn record(
    connection: &mut SqliteConnection,
    lease: &OutboxLease,
    outcome: &DeliveryOutcome,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let sent = lease.desired.to_string();
    let (state, next, failures, error) = match outcome {
        DeliveryOutcome::Delivered => (DeliveryState::Delivered, None, 0, None),
        // In the transaction that writes: a user who is mirrored after it finds `user_gone` and
        // wakes the entry.
        DeliveryOutcome::UserGone { again_at, error } => {
            if was_mirrored_meanwhile(connection, lease).await? {
                (
                    DeliveryState::Pending,
                    Some(again_at.to_string()),
                    lease.failures.saturating_add(1),
                    Some(error.as_str()),
                )
            } else {
                (DeliveryState::UserGone, None, 0, None)
            }
        }
        DeliveryOutcome::NotSent { again_at } => {
            return hand_back(connection, lease, *again_at).await;
        }
        DeliveryOutcome::Retry { at, because, error } => (
            DeliveryState::Pending,
            Some(at.to_string()),
            lease
                .failures
                .saturating_add(u32::from(because.is_charged())),
            Some(error.as_str()),
        ),
        DeliveryOutcome::Parked { error } => (
            DeliveryState::Parked,
            None,
            lease.failures.saturating_add(1),
            Some(error.as_str()),
        ),
    };
    let now = now.to_string();
    let delivered = (*outcome == DeliveryOutcome::Delivered).then_some(sent.as_str());

    // What was desired may have changed on the way; then the new state is due at once.
    let settled = sqlx::query(
        "UPDATE outbox SET leased_until = NULL, delivered = COALESCE(?1, delivered), \
         state = CASE WHEN desired = ?2 THEN ?3 ELSE 'pending' END, \
         next_attempt_at = CASE WHEN desired = ?2 THEN ?4 ELSE ?5 END, \
         failures = CASE WHEN desired = ?2 THEN ?6 ELSE 0 END, \
         last_error = ?7, updated_at = ?5 \
         WHERE user_id = ?8 AND lease = ?9 AND state = 'pending'",
    )
    .bind(delivered)
    .bind(&sent)
    .bind(state.as_str())
    .bind(next)
    .bind(&now)
    .bind(failures)
    .bind(error)
    .bind(lease.user_id.as_str())
    .bind(lease.lease)
    .execute(&mut *connection)
    .await?;
    if settled.rows_affected() == 0 && outcome.may_have_arrived() {
        distrust(connection, lease, &now).await?;
    }
    sqlx::query(
        "INSERT INTO outbox_attempts (user_id, at, desired, outcome, error) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(lease.user_id.as_str())
    .bind(&now)
    .bind(&sent)
    .bind(outcome.word())
    .bind(error)
    .execute(connection)
    .await?;
    Ok(())
}

/// A write that others did not wait for may have come after theirs: what Clerk holds is not known, not
/// even to one that is under way.
async fn distrust(
    connection: &mut SqliteConnection,
    lost: &OutboxLease,
    now: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET lease = lease + 1, state = 'pending', delivered = NULL, \
         next_attempt_at = CASE state WHEN 'pending' THEN next_attempt_at ELSE ?1 END, \
         updated_at = ?1 WHERE user_id = ?2 AND lease > ?3 AND state IN ('pending', 'delivered')",
    )
    .bind(now)
    .bind(lost.user_id.as_str())
    .bind(lost.lease)
    .execute(connection)
    .await?;
    Ok(())
}

/// Told by the revision, as the clocks of two machines would not do.
async fn was_mirrored_meanwhile(
    connection: &mut SqliteConnection,
    lease: &OutboxLease,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users WHERE id = ? AND revision IS NOT ?)")
        .bind(lease.user_id.as_str())
        .bind(lease.mirrored.as_ref().map(Revision::as_str))
        .fetch_one(connection)
        .await
}

/// When the next entry falls due.
pub(super) async fn next_due(
    readers: &SqlitePool,
    of: &Recipients,
) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(
        "SELECT MIN(next_attempt_at) AS next_attempt_at FROM outbox WHERE state = 'pending' \
         AND (?1 IS NULL OR COALESCE((SELECT source FROM users \
         WHERE users.id = outbox.user_id), ?2) = ?1)",
    )
    .bind(of.instance().map(SourceName::as_str))
    .bind(of.of_strangers().map(SourceName::as_str))
    .fetch_one(readers)
    .await
    .map_err(unavailable("look for due entries of the outbox"))?;
    Reader::new("outbox", "the next entry", &row).optional_time("next_attempt_at")
}
