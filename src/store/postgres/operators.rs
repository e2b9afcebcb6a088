//! What people do to the outbox by hand, and `operator_actions`, which remembers all that they do.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};

use super::super::problem::unavailable;
use super::read_outbox::push_filter;
use super::rows::{Reader, stored};
use super::{PostgresStore, StoreError};
use crate::model::operator::{ActionFilter, ActionRecord, Operator, OperatorAction};
use crate::model::outbox::{OutboxChange, OutboxFilter};
use crate::model::time::Timestamp;

/// The columns that [`action_record`] reads.
pub(super) const COLUMNS: &str = "id, at, operator, action, reason, target::text AS target, \
     matched, changed, dry_run";

/// Changes what matches, or counts it, and records that.
pub(super) async fn change_outbox(
    store: &PostgresStore,
    change: OutboxChange,
    filter: &OutboxFilter,
    action: &OperatorAction,
    now: Timestamp,
) -> Result<ActionRecord, StoreError> {
    const DOING: &str = "change the outbox";
    let mut transaction = store.begin(DOING).await?;
    let done = async {
        let mut select = QueryBuilder::<Postgres>::new("SELECT user_id FROM outbox WHERE TRUE");
        push_filter(&mut select, filter);
        // In the order in which everyone locks them.
        select.push(" ORDER BY user_id");
        if !action.mode.is_dry_run() {
            select.push(" FOR UPDATE");
        }
        let users: Vec<String> = select
            .build_query_scalar()
            .fetch_all(&mut *transaction)
            .await?;
        let matched = i64::try_from(users.len()).unwrap_or(i64::MAX);
        let mut changed = 0;
        if !action.mode.is_dry_run() {
            changed = matched;
            let mut update = statement(change, now);
            update
                .push(" WHERE user_id = ANY(")
                .push_bind(users)
                .push(")");
            update.build().execute(&mut *transaction).await?;
        }
        let row = record(&mut transaction, action, matched, changed, now).await?;
        transaction.commit().await?;
        Ok(row)
    };
    let row = done.await.map_err(unavailable(DOING))?;
    action_record(&row)
}

fn statement(change: OutboxChange, now: Timestamp) -> QueryBuilder<Postgres> {
    let mut update = QueryBuilder::new("UPDATE outbox SET updated_at = ");
    update.push_bind(stored(now));
    match change {
        // What Clerk holds is no longer believed: whoever asks for this may know better.
        OutboxChange::Retry => update
            .push(
                ", state = 'pending', failures = 0, delivered = NULL, next_attempt_at = GREATEST(",
            )
            .push_bind(stored(now))
            .push(", leased_until)"),
        OutboxChange::Discard => update.push(", state = 'discarded', next_attempt_at = NULL"),
    };
    update
}

/// Records what was asked for, how much of it there was, and how much was done.
pub(super) async fn record(
    connection: &mut PgConnection,
    action: &OperatorAction,
    matched: i64,
    changed: i64,
    now: Timestamp,
) -> Result<PgRow, sqlx::Error> {
    QueryBuilder::<Postgres>::new(
        "INSERT INTO operator_actions \
         (at, operator, action, reason, target, matched, changed, dry_run) VALUES (",
    )
    .push_bind(stored(now))
    .push(", ")
    .push_bind(action.operator.as_str())
    .push(", ")
    .push_bind(action.action)
    .push(", ")
    .push_bind(action.mode.reason().map(|reason| reason.as_str()))
    .push(", ")
    .push_bind(action.target.to_string())
    .push("::jsonb, ")
    .push_bind(matched)
    .push(", ")
    .push_bind(changed)
    .push(", ")
    .push_bind(action.mode.is_dry_run())
    .push(") RETURNING ")
    .push(COLUMNS)
    .build()
    .fetch_one(connection)
    .await
}

/// Adds to how much was done. More may have come to match since it was counted.
pub(super) async fn count_on(
    connection: &mut PgConnection,
    id: i64,
    changed: i64,
) -> Result<PgRow, sqlx::Error> {
    QueryBuilder::<Postgres>::new("UPDATE operator_actions SET changed = changed + ")
        .push_bind(changed)
        .push(", matched = GREATEST(matched, changed + ")
        .push_bind(changed)
        .push(") WHERE id = ")
        .push_bind(id)
        .push(" RETURNING ")
        .push(COLUMNS)
        .build()
        .fetch_one(connection)
        .await
}

/// What was asked for, newest first.
pub(super) async fn list(
    store: &PostgresStore,
    filter: &ActionFilter,
    limit: u32,
) -> Result<Vec<ActionRecord>, StoreError> {
    let action = "list what operators did";
    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query
        .push(COLUMNS)
        .push(" FROM operator_actions WHERE TRUE");
    if let Some(before) = filter.before {
        query.push(" AND id < ").push_bind(before);
    }
    if let Some(operator) = &filter.operator {
        query.push(" AND operator = ").push_bind(operator.as_str());
    }
    if let Some(action) = &filter.action {
        query.push(" AND action = ").push_bind(action);
    }
    let rows = query
        .push(" ORDER BY id DESC LIMIT ")
        .push_bind(i64::from(limit))
        .build()
        .fetch_all(&mut *store.acquire(action).await?)
        .await
        .map_err(unavailable(action))?;
    rows.iter().map(action_record).collect()
}

/// Reads a recorded action.
pub(super) fn action_record(row: &PgRow) -> Result<ActionRecord, StoreError> {
    let id: i64 = row.try_get("id").unwrap_or_default();
    let key = id.to_string();
    let reader = Reader::new("operator_actions", &key, row);
    Ok(ActionRecord {
        id,
        at: reader.time("at")?,
        operator: reader.parse("operator", Operator::parse)?,
        action: reader.get("action")?,
        reason: reader.get("reason")?,
        target: reader.parse("target", |text| serde_json::from_str(text).ok())?,
        matched: reader.count("matched")?,
        changed: reader.count("changed")?,
        dry_run: reader.get("dry_run")?,
    })
}
