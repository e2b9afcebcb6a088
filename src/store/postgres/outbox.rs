//! `outbox`: what Clerk's metadata should be, and whether it is.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};

use super::super::fold::users::UserFold;
use super::super::problem::unavailable;
use super::super::tables::Causes;
use super::rows::{Reader, stored};
use super::{PostgresStore, StoreError};
use crate::model::entitlement::{Entitlement, desired_metadata};
use crate::model::outbox::{DeliveryOutcome, DeliveryState, OutboxLease, Recipients};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::trace::TraceContext;
use crate::model::user::{Revision, UserId};

/// Waits for whoever settles or writes an entry that this batch is about. The statements after this
/// one see what they left.
pub(super) async fn lock(
    connection: &mut PgConnection,
    entitlements: &BTreeMap<&UserId, Option<Entitlement>>,
    fold: &UserFold<'_>,
) -> Result<(), sqlx::Error> {
    let users: BTreeSet<&str> = entitlements
        .keys()
        .chain(fold.deleted.keys())
        .chain(fold.mirrored.keys())
        .map(|user| user.as_str())
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    sqlx::query("SELECT 1 FROM outbox WHERE user_id = ANY($1) ORDER BY user_id FOR UPDATE")
        .bind(users.into_iter().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes the metadata that follows from these entitlements the desired one.
///
/// Nothing is due where Clerk is known to hold it already. An entry that is leased becomes due when
/// its lease ends, so that two writes for one user are never on their way at once.
pub(super) async fn desire(
    connection: &mut PgConnection,
    entitlements: &BTreeMap<&UserId, Option<Entitlement>>,
    causes: &Causes<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if entitlements.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = entitlements.keys().map(|user| user.as_str()).collect();
    let desired: Vec<String> = entitlements
        .values()
        .map(|entitlement| desired_metadata(entitlement.as_ref()).to_string())
        .collect();
    let traces = entitlements.keys().map(|user| causes.get(user));
    let traces: Vec<Option<String>> = traces
        .map(|trace| trace.map(TraceContext::to_string))
        .collect();
    // Without facts there is nothing to say, except to take back what was said before.
    let insert_if_absent: Vec<bool> = entitlements.values().map(Option::is_some).collect();
    sqlx::query(
        "INSERT INTO outbox AS o \
         (user_id, state, desired, desired_at, failures, lease, next_attempt_at, updated_at, \
         traceparent) \
         SELECT d.user_id, 'pending', d.desired::jsonb, $4, 0, 0, $4, $4, d.traceparent \
         FROM UNNEST($1::text[], $2::text[], $3::boolean[], $5::text[]) \
         AS d(user_id, desired, if_absent, traceparent) \
         WHERE d.if_absent OR EXISTS (SELECT 1 FROM outbox WHERE outbox.user_id = d.user_id) \
         ORDER BY d.user_id COLLATE \"C\" \
         ON CONFLICT (user_id) DO UPDATE SET desired = excluded.desired, \
         desired_at = excluded.desired_at, \
         state = CASE WHEN o.delivered = excluded.desired THEN 'delivered' ELSE 'pending' END, \
         next_attempt_at = CASE WHEN o.delivered = excluded.desired THEN NULL \
         ELSE GREATEST(excluded.next_attempt_at, o.leased_until) END, \
         failures = 0, last_error = NULL, updated_at = excluded.updated_at, \
         traceparent = excluded.traceparent WHERE o.desired <> excluded.desired",
    )
    .bind(&users)
    .bind(desired)
    .bind(insert_if_absent)
    .bind(stored(now))
    .bind(traces)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE outbox SET state = 'user_gone', next_attempt_at = NULL, updated_at = $1 \
         WHERE state <> 'user_gone' AND user_id = ANY($2) \
         AND user_id IN (SELECT id FROM user_tombstones)",
    )
    .bind(stored(now))
    .bind(users)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deleted users need no metadata; a user who appears after Clerk did not know it is worth another
/// attempt, unless somebody else has deleted it since it was read.
pub(super) async fn follow_users(
    connection: &mut PgConnection,
    fold: &UserFold<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if !fold.deleted.is_empty() {
        let deleted: Vec<&str> = fold.deleted.keys().map(|id| id.as_str()).collect();
        sqlx::query(
            "UPDATE outbox SET state = 'user_gone', next_attempt_at = NULL, updated_at = $1 \
             WHERE state <> 'user_gone' AND user_id = ANY($2)",
        )
        .bind(stored(now))
        .bind(deleted)
        .execute(&mut *connection)
        .await?;
    }
    if !fold.mirrored.is_empty() {
        let mirrored: Vec<&str> = fold.mirrored.keys().map(|id| id.as_str()).collect();
        sqlx::query(
            "UPDATE outbox SET state = 'pending', next_attempt_at = $1, updated_at = $1 \
             WHERE state = 'user_gone' AND user_id = ANY($2) \
             AND user_id NOT IN (SELECT id FROM user_tombstones WHERE id = ANY($2))",
        )
        .bind(stored(now))
        .bind(mirrored)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Leases what is due. While a write is under way, what Clerk holds is not known.
pub(super) async fn lease(
    store: &PostgresStore,
    of: &Recipients,
    limit: u32,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<OutboxLease>, StoreError> {
    // Looking first keeps an idle dispatcher from writing, and so from syncing, all the time.
    match next_due(store, of).await? {
        Some(due) if due <= now => {}
        _ => return Ok(Vec::new()),
    }
    let action = "lease entries of the outbox";
    let mut connection = store.acquire(action).await?;
    let rows = sqlx::query(
        "WITH due AS MATERIALIZED (\
         SELECT user_id, delivered FROM outbox WHERE state = 'pending' AND next_attempt_at <= $2 \
         AND ($4::text IS NULL OR COALESCE((SELECT source FROM users \
         WHERE users.id = outbox.user_id), $5) = $4) \
         ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
         UPDATE outbox AS o SET lease = o.lease + 1, leased_until = $1, next_attempt_at = $1, \
         delivered = NULL \
         FROM due WHERE o.user_id = due.user_id \
         RETURNING o.user_id, o.desired::text AS desired, due.delivered::text AS delivered, \
         o.lease, o.failures, o.traceparent, \
         (SELECT revision FROM users WHERE users.id = o.user_id) AS mirrored",
    )
    .bind(stored(until))
    .bind(stored(now))
    .bind(i64::from(limit))
    .bind(of.instance().map(SourceName::as_str))
    .bind(of.of_strangers().map(SourceName::as_str))
    .fetch_all(&mut *connection)
    .await
    .map_err(unavailable(action))?;
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
    store: &PostgresStore,
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
    connection: &mut PgConnection,
    lease: &OutboxLease,
    again_at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET leased_until = NULL, delivered = $1::jsonb, \
         state = CASE WHEN desired = $1::jsonb THEN 'delivered' ELSE 'pending' END, \
         next_attempt_at = CASE WHEN desired = $1::jsonb THEN NULL ELSE $2::timestamptz END \
         WHERE user_id = $3 AND lease = $4 AND state = 'pending'",
    )
    .bind(lease.delivered.as_ref().map(ToString::to_string))
    .bind(stored(again_at))
    .bind(lease.user_id.as_str())
    .bind(lease.lease)
    .execute(connection)
    .await?;
    Ok(())
}

async fn record(
    connection: &mut PgConnection,
    lease: &OutboxLease,
    outcome: &DeliveryOutcome,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let sent = lease.desired.to_string();
    let (state, next, failures, error) = match outcome {
        DeliveryOutcome::Delivered => (DeliveryState::Delivered, None, 0, None),
        DeliveryOutcome::UserGone { again_at, error } => {
            if was_mirrored_meanwhile(connection, lease).await? {
                (
                    DeliveryState::Pending,
                    Some(*again_at),
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
            Some(*at),
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
    let error = error.map(|error| error.replace('\0', "\u{fffd}"));
    let delivered = (*outcome == DeliveryOutcome::Delivered).then_some(sent.as_str());

    // What was desired may have changed on the way; then the new state is due at once.
    let settled = sqlx::query(
        "UPDATE outbox SET leased_until = NULL, delivered = COALESCE($1::jsonb, delivered), \
         state = CASE WHEN desired = $2::jsonb THEN $3 ELSE 'pending' END, \
         next_attempt_at = CASE WHEN desired = $2::jsonb THEN $4 ELSE $5 END, \
         failures = CASE WHEN desired = $2::jsonb THEN $6 ELSE 0 END, \
         last_error = $7, updated_at = $5 \
         WHERE user_id = $8 AND lease = $9 AND state = 'pending'",
    )
    .bind(delivered)
    .bind(&sent)
    .bind(state.as_str())
    .bind(next.map(stored))
    .bind(stored(now))
    .bind(i64::from(failures))
    .bind(&error)
    .bind(lease.user_id.as_str())
    .bind(lease.lease)
    .execute(&mut *connection)
    .await?;
    if settled.rows_affected() == 0 && outcome.may_have_arrived() {
        distrust(connection, lease, now).await?;
    }
    sqlx::query(
        "INSERT INTO outbox_attempts (user_id, at, desired, outcome, error) \
         VALUES ($1, $2, $3::jsonb, $4, $5)",
    )
    .bind(lease.user_id.as_str())
    .bind(stored(now))
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
    connection: &mut PgConnection,
    lost: &OutboxLease,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET lease = lease + 1, state = 'pending', delivered = NULL, \
         next_attempt_at = CASE state WHEN 'pending' THEN next_attempt_at ELSE $1 END, \
         updated_at = $1 WHERE user_id = $2 AND lease > $3 AND state IN ('pending', 'delivered')",
    )
    .bind(stored(now))
    .bind(lost.user_id.as_str())
    .bind(lost.lease)
    .execute(connection)
    .await?;
    Ok(())
}

/// Told by the revision, as the clocks of two machines would not do.
///
/// Looks while holding the entry: who mirrors the user after this waits for the entry in turn, then
/// finds it `user_gone`, and wakes it.
async fn was_mirrored_meanwhile(
    connection: &mut PgConnection,
    lease: &OutboxLease,
) -> Result<bool, sqlx::Error> {
    sqlx::query("SELECT 1 FROM outbox WHERE user_id = $1 FOR UPDATE")
        .bind(lease.user_id.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM users WHERE id = $1 AND revision IS DISTINCT FROM $2)",
    )
    .bind(lease.user_id.as_str())
    .bind(lease.mirrored.as_ref().map(Revision::as_str))
    .fetch_one(connection)
    .await
}

/// When the next entry falls due.
pub(super) async fn next_due(
    store: &PostgresStore,
    of: &Recipients,
) -> Result<Option<Timestamp>, StoreError> {
    let action = "look for due entries of the outbox";
    let mut connection = store.acquire(action).await?;
    let row = sqlx::query(
        "SELECT MIN(next_attempt_at) AS next_attempt_at FROM outbox WHERE state = 'pending' \
         AND ($1::text IS NULL OR COALESCE((SELECT source FROM users \
         WHERE users.id = outbox.user_id), $2) = $1)",
    )
    .bind(of.instance().map(SourceName::as_str))
    .bind(of.of_strangers().map(SourceName::as_str))
    .fetch_one(&mut *connection)
    .await
    .map_err(unavailable(action))?;
    Reader::new("outbox", "the next entry", &row).optional_time("next_attempt_at")
}
