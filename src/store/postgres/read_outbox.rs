//! Reading `outbox` and `outbox_attempts`.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};

use super::super::problem::unavailable;
use super::rows::{Reader, column};
use super::{PostgresStore, StoreError};
use crate::model::outbox::{
    DeliveryState, OutboxAttempt, OutboxCount, OutboxEntry, OutboxFilter, OutboxRecord,
};
use crate::model::user::UserId;

const ENTRY: &str = "SELECT user_id, state, desired::text AS desired, desired_at, \
     delivered::text AS delivered, failures, lease, leased_until, next_attempt_at, \
     last_error, updated_at FROM outbox WHERE TRUE";

/// Entries that match, the longest desired first.
pub(super) async fn list(
    store: &PostgresStore,
    filter: &OutboxFilter,
    limit: u32,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let action = "list the outbox";
    let mut query = QueryBuilder::<Postgres>::new(ENTRY);
    push_filter(&mut query, filter);
    let rows = query
        .push(" ORDER BY desired_at, user_id LIMIT ")
        .push_bind(i64::from(limit))
        .build()
        .fetch_all(&mut *store.acquire(action).await?)
        .await
        .map_err(unavailable(action))?;
    rows.iter().map(entry).collect()
}

pub(super) fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &OutboxFilter) {
    if !filter.users.is_empty() {
        query
            .push(" AND user_id = ANY(")
            .push_bind(column(&filter.users, |user| user.as_str().to_owned()))
            .push(")");
    }
    if !filter.states.is_empty() {
        query
            .push(" AND state = ANY(")
            .push_bind(column(&filter.states, |state| state.as_str()))
            .push(")");
    }
}

/// The entry of one user.
pub(super) async fn of_user(
    connection: &mut PgConnection,
    user: &UserId,
) -> Result<Option<OutboxEntry>, StoreError> {
    let row = row_of(connection, user).await?;
    row.as_ref().map(entry).transpose()
}

/// The entry of one user, with its latest attempts.
pub(super) async fn find(
    store: &PostgresStore,
    user: &UserId,
    attempts: u32,
) -> Result<Option<OutboxRecord>, StoreError> {
    let action = "read the attempts at delivery";
    let mut transaction = store.snapshot(action).await?;
    let Some(row) = row_of(&mut transaction, user).await? else {
        return Ok(None);
    };
    let rows = sqlx::query(
        "SELECT at, desired::text AS desired, outcome, error FROM outbox_attempts \
         WHERE user_id = $1 ORDER BY at DESC LIMIT $2",
    )
    .bind(user.as_str())
    .bind(i64::from(attempts))
    .fetch_all(&mut *transaction)
    .await
    .map_err(unavailable(action))?;
    transaction.commit().await.map_err(unavailable(action))?;
    let reader = Reader::new("outbox", user.as_str(), &row);
    Ok(Some(OutboxRecord {
        entry: entry(&row)?,
        leases: reader.get("lease")?,
        leased_until: reader.optional_time("leased_until")?,
        attempts: rows
            .iter()
            .map(|row| attempt(user, row))
            .collect::<Result<_, _>>()?,
    }))
}

/// How many there are by state.
pub(super) async fn count(store: &PostgresStore) -> Result<Vec<OutboxCount>, StoreError> {
    let action = "count the outbox";
    let rows = sqlx::query(
        "SELECT state, COUNT(*) AS entries, MIN(desired_at) AS oldest FROM outbox \
         GROUP BY state ORDER BY state",
    )
    .fetch_all(&mut *store.acquire(action).await?)
    .await
    .map_err(unavailable(action))?;
    rows.iter()
        .map(|row| {
            let reader = Reader::new("outbox", "a group", row);
            Ok(OutboxCount {
                state: reader.parse("state", DeliveryState::parse)?,
                entries: reader.count("entries")?,
                oldest: reader.time("oldest")?,
            })
        })
        .collect()
}

async fn row_of(connection: &mut PgConnection, user: &UserId) -> Result<Option<PgRow>, StoreError> {
    QueryBuilder::<Postgres>::new(ENTRY)
        .push(" AND user_id = ")
        .push_bind(user.as_str())
        .build()
        .fetch_optional(connection)
        .await
        .map_err(unavailable("read the outbox"))
}

fn entry(row: &PgRow) -> Result<OutboxEntry, StoreError> {
    let user: &str = row.try_get("user_id").unwrap_or_default();
    let reader = Reader::new("outbox", user, row);
    let json = |text: &str| serde_json::from_str(text).ok();
    Ok(OutboxEntry {
        user_id: reader.parse("user_id", UserId::parse)?,
        state: reader.parse("state", DeliveryState::parse)?,
        desired: reader.parse("desired", json)?,
        delivered: reader.parse_optional("delivered", json)?,
        failures: reader.count("failures")?,
        next_attempt_at: reader.optional_time("next_attempt_at")?,
        last_error: reader.get("last_error")?,
        desired_at: reader.time("desired_at")?,
        updated_at: reader.time("updated_at")?,
    })
}

/// Reads an attempt at delivery.
pub(super) fn attempt(user: &UserId, row: &PgRow) -> Result<OutboxAttempt, StoreError> {
    let reader = Reader::new("outbox_attempts", user.as_str(), row);
    Ok(OutboxAttempt {
        at: reader.time("at")?,
        desired: reader.parse("desired", |text| serde_json::from_str(text).ok())?,
        outcome: reader.get("outcome")?,
        error: reader.get("error")?,
    })
}
