//! What a replay would take, and in which order.

use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::super::operators;
use super::super::rows::Reader;
use super::super::{PostgresStore, StoreError, filter};
use crate::model::event::EventType;
use crate::model::operator::{ActionRecord, Mode};
use crate::model::replay::plan::{ReplayPlan, ReplayedKind};
use crate::model::replay::{ReplayOrder, ReplayScope};
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::time::Timestamp;
use crate::store::findings::Findings;
use crate::store::problem::unavailable;

/// Tells what a replay would take, and records that somebody looked.
pub(super) async fn plan(
    store: &PostgresStore,
    order: &ReplayOrder,
    now: Timestamp,
) -> Result<(ReplayPlan, ActionRecord), StoreError> {
    let doing = "plan a replay";
    let survey = store.survey(&order.scope.filter).await?;
    let mut transaction = store.begin(doing).await?;
    let plan = match order.scope.limit {
        Some(limit) if u64::from(limit) < survey.with_payload => {
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                .execute(&mut *transaction)
                .await
                .map_err(unavailable(doing))?;
            plan_in(&mut transaction, &order.scope).await?
        }
        _ => ReplayPlan::of(survey),
    };
    let matched = i64::try_from(plan.events).unwrap_or(i64::MAX);
    let action = order.action(Mode::DryRun);
    let row = operators::record(&mut transaction, &action, matched, 0, now)
        .await
        .map_err(unavailable(doing))?;
    transaction.commit().await.map_err(unavailable(doing))?;
    Ok((plan, operators::action_record(&row)?))
}

/// Those events whose payload is kept and that match, in the order of a replay.
pub(super) fn push_chosen(query: &mut QueryBuilder<Postgres>, scope: &ReplayScope) {
    query.push(" FROM events WHERE payload IS NOT NULL");
    filter::push(query, &scope.filter);
    if let Some(limit) = scope.limit {
        query
            .push(" ORDER BY received_at, source, event_id LIMIT ")
            .push_bind(i64::from(limit));
    }
}

/// What a replay would take.
async fn plan_in(
    connection: &mut PgConnection,
    scope: &ReplayScope,
) -> Result<ReplayPlan, StoreError> {
    let action = "plan a replay";
    let mut kinds = QueryBuilder::<Postgres>::new(
        "SELECT event_type, source, state, COUNT(*) AS events, MIN(received_at) AS oldest, \
         MAX(received_at) AS newest FROM (SELECT event_type, source, state, received_at",
    );
    push_chosen(&mut kinds, scope);
    let kinds = kinds
        .push(
            ") AS chosen GROUP BY event_type, source, state \
             ORDER BY events DESC, event_type, source, state",
        )
        .build()
        .fetch_all(&mut *connection)
        .await
        .map_err(unavailable(action))?;
    let mut subjects =
        QueryBuilder::<Postgres>::new("SELECT COUNT(DISTINCT subject) FROM (SELECT subject");
    push_chosen(&mut subjects, scope);
    let subjects: i64 = subjects
        .push(") AS chosen")
        .build_query_scalar()
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable(action))?;
    let mut not_kept =
        QueryBuilder::<Postgres>::new("SELECT COUNT(*) FROM events WHERE payload IS NULL");
    filter::push(&mut not_kept, &scope.filter);
    let not_kept: i64 = not_kept
        .build_query_scalar()
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable(action))?;
    let mut plan = ReplayPlan {
        not_kept: u64::try_from(not_kept).unwrap_or_default(),
        subjects: u64::try_from(subjects).ok(),
        ..ReplayPlan::default()
    };
    for row in &kinds {
        let reader = Reader::new("events", "a group", row);
        let kind = ReplayedKind {
            event_type: reader.parse("event_type", EventType::parse)?,
            source: reader.parse("source", SourceName::parse)?,
            state: reader.parse("state", EventState::parse)?,
            events: reader.count("events")?,
        };
        plan.add(kind, reader.time("oldest")?, reader.time("newest")?);
    }
    Ok(plan)
}
