//! Starting and cancelling replays.

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::operators;
use super::super::{SqliteStore, StoreError};
use super::planning::push_chosen;
use super::read;
use crate::model::operator::{Mode, Operator, OperatorAction, Reason};
use crate::model::replay::{CancelledReplay, ReplayId, ReplayOrder, ReplayScope, StartedReplay};
use crate::model::time::Timestamp;
use crate::store::problem::unavailable;

/// Starts a replay of what matches.
pub(super) async fn start(
    store: &SqliteStore,
    order: &ReplayOrder,
    reason: &Reason,
    now: Timestamp,
) -> Result<StartedReplay, StoreError> {
    const DOING: &str = "start a replay";
    let mut transaction = store.begin(DOING).await?;
    let started = async {
        let id = insert(&mut transaction, order, reason, now).await?;
        let total = insert_events(&mut transaction, id, &order.scope).await?;
        let sql = if total > 0 {
            "UPDATE replays SET total = ?2 WHERE id = ?1"
        } else {
            "DELETE FROM replays WHERE id = ?1 AND total = ?2"
        };
        sqlx::query(sql)
            .bind(id)
            .bind(total)
            .execute(&mut *transaction)
            .await?;
        let action = order.action(Mode::Execute(reason.clone()));
        let row = operators::record(&mut transaction, &action, total, total, now).await?;
        transaction.commit().await?;
        Ok((row, (total > 0).then_some(id)))
    };
    let (row, id) = started.await.map_err(unavailable(DOING))?;
    Ok(StartedReplay {
        id: id.and_then(ReplayId::new),
        action: operators::action_record(&row)?,
    })
}

async fn insert(
    connection: &mut SqliteConnection,
    order: &ReplayOrder,
    reason: &Reason,
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(
        "INSERT INTO replays \
         (created_at, operator, reason, filter, at_most, rate, paced_until, total, state) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?1, 0, 'running') RETURNING id",
    )
    .bind(now.to_string())
    .bind(order.operator.as_str())
    .bind(reason.as_str())
    .bind(serde_json::json!(order.scope.filter).to_string())
    .bind(order.scope.limit.map(i64::from))
    .bind(i64::from(order.rate.per_second()))
    .fetch_one(connection)
    .await?;
    row.try_get("id")
}

async fn insert_events(
    connection: &mut SqliteConnection,
    id: i64,
    scope: &ReplayScope,
) -> Result<i64, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO replay_events \
         (replay_id, position, source, event_id, subject, follows, state) SELECT ",
    );
    query.push_bind(id).push(
        ", position, source, event_id, subject, follows, \
         CASE WHEN follows IS NULL THEN 'pending' ELSE 'held' END FROM (\
         SELECT position, source, event_id, subject, CASE WHEN subject IS NOT NULL \
         THEN LAG(position) OVER (PARTITION BY subject ORDER BY position) END AS follows FROM (\
         SELECT source, event_id, subject, \
         ROW_NUMBER() OVER (ORDER BY received_at, source, event_id) AS position",
    );
    push_chosen(&mut query, scope);
    let inserted = query
        .push(") AS chosen) AS ordered ORDER BY position")
        .build()
        .execute(connection)
        .await?;
    Ok(i64::try_from(inserted.rows_affected()).unwrap_or(i64::MAX))
}

/// Ends a replay.
pub(super) async fn cancel(
    store: &SqliteStore,
    id: ReplayId,
    operator: &Operator,
    mode: &Mode,
    now: Timestamp,
) -> Result<Option<CancelledReplay>, StoreError> {
    const DOING: &str = "cancel a replay";
    let mut transaction = store.begin(DOING).await?;
    let cancelled = async {
        let running: Option<bool> =
            sqlx::query_scalar("SELECT state = 'running' FROM replays WHERE id = ?1")
                .bind(id.get())
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(running) = running else {
            return Ok(None);
        };
        let mut matched = 0;
        let mut changed = 0;
        match mode {
            _ if !running => {}
            Mode::DryRun => matched = count_open(&mut transaction, id).await?,
            Mode::Execute(reason) => {
                changed = cancel_open(&mut transaction, id).await?;
                matched = changed;
                if changed > 0 {
                    end(&mut transaction, id, changed, operator, reason, now).await?;
                }
            }
        }
        let action = OperatorAction {
            operator: operator.clone(),
            action: "replay cancel",
            target: serde_json::json!({ "replay": id }),
            mode: mode.clone(),
        };
        let row = operators::record(&mut transaction, &action, matched, changed, now).await?;
        let replay = read::one(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(replay.map(|replay| (replay, row)))
    };
    let cancelled = cancelled.await.map_err(unavailable(DOING))?;
    let cancelled = cancelled.map(|(replay, row)| {
        Ok(CancelledReplay {
            replay: read::replay(&replay)?,
            action: operators::action_record(&row)?,
        })
    });
    cancelled.transpose()
}

async fn count_open(connection: &mut SqliteConnection, id: ReplayId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM replay_events \
         WHERE replay_id = ?1 AND state IN ('held', 'pending', 'queued')",
    )
    .bind(id.get())
    .fetch_one(connection)
    .await
}

async fn cancel_open(connection: &mut SqliteConnection, id: ReplayId) -> Result<i64, sqlx::Error> {
    let cancelled = sqlx::query(
        "UPDATE replay_events SET state = 'cancelled', leased_until = NULL \
         WHERE replay_id = ? AND state IN ('held', 'pending', 'queued')",
    )
    .bind(id.get())
    .execute(connection)
    .await?;
    Ok(i64::try_from(cancelled.rows_affected()).unwrap_or(i64::MAX))
}

async fn end(
    connection: &mut SqliteConnection,
    id: ReplayId,
    cancelled: i64,
    operator: &Operator,
    reason: &Reason,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE replays SET state = 'cancelled', cancelled = ?2, cancelled_by = ?3, \
         cancel_reason = ?4, finished_at = ?5 WHERE id = ?1",
    )
    .bind(id.get())
    .bind(cancelled)
    .bind(operator.as_str())
    .bind(reason.as_str())
    .bind(now.to_string())
    .execute(connection)
    .await?;
    Ok(())
}
