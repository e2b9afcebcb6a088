//! What people do to many events at once.

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::super::event_changes::{CHUNK, EXAMPLES, EventChanges};
use super::super::problem::ApplyError;
use super::operators::{action_record, count_on, record};
use super::read_ledger::{SUMMARY, summary};
use super::rows::Reader;
use super::{SqliteStore, StoreError, filter};
use crate::model::by_hand::{ChangedEvents, EventChange, EventTally, StateTally};
use crate::model::event::EventType;
use crate::model::ledger::{EventFilter, EventSummary};
use crate::model::operator::OperatorAction;
use crate::model::state::EventState;
use crate::model::time::Timestamp;

const DOING: &str = "change events";

#[async_trait]
impl EventChanges for SqliteStore {
    async fn change_events(
        &self,
        change: EventChange,
        filter: &EventFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ChangedEvents, StoreError> {
        let all = self::change(self, change, filter, action, now);
        all.await.map_err(|error| error.into_store_error(DOING))
    }
}

async fn change(
    store: &SqliteStore,
    change: EventChange,
    wanted: &EventFilter,
    action: &OperatorAction,
    now: Timestamp,
) -> Result<ChangedEvents, ApplyError> {
    let mut transaction = store.begin(DOING).await?;
    let Plan {
        tally,
        passed_over,
        examples,
    } = plan(&mut transaction, change, wanted, now).await?;
    let matched: u64 = tally.iter().map(|tally| tally.events).sum();
    let matched = i64::try_from(matched).unwrap_or(i64::MAX);
    let mut changed = 0;
    if !action.mode.is_dry_run() {
        changed = chunk(&mut transaction, change, wanted, now).await?;
    }
    let row = record(&mut transaction, action, matched, changed, now).await?;
    transaction.commit().await?;
    let mut record = action_record(&row)?;
    while changed == CHUNK {
        let mut transaction = store.begin(DOING).await?;
        changed = chunk(&mut transaction, change, wanted, now).await?;
        let row = count_on(&mut transaction, record.id, changed).await?;
        transaction.commit().await?;
        record = action_record(&row)?;
    }
    Ok(ChangedEvents {
        action: record,
        tally,
        passed_over,
        examples,
    })
}

/// Changes the next few; answers how many. What was changed is not found again.
async fn chunk(
    connection: &mut SqliteConnection,
    change: EventChange,
    wanted: &EventFilter,
    now: Timestamp,
) -> Result<i64, ApplyError> {
    let mut update = QueryBuilder::<Sqlite>::new("UPDATE events SET ");
    match change {
        EventChange::Discard => update.push("state = 'discarded', next_attempt_at = NULL"),
        EventChange::RetryNow => update.push("next_attempt_at = ").push_bind(now.to_string()),
    };
    update.push(" WHERE (source, event_id) IN (SELECT source, event_id FROM events WHERE TRUE");
    push_open(&mut update, change, now);
    filter::push(&mut update, wanted);
    update.push(" LIMIT ").push_bind(CHUNK).push(")");
    let result = update.build().execute(connection).await?;
    Ok(i64::try_from(result.rows_affected()).unwrap_or(i64::MAX))
}

/// What it can be done to.
fn push_open(query: &mut QueryBuilder<Sqlite>, change: EventChange, now: Timestamp) {
    match change {
        EventChange::Discard => query.push(
            " AND state IN ('queued', 'waiting', 'retrying', 'failed') \
             AND (state <> 'queued' OR outcome = 'paused')",
        ),
        EventChange::RetryNow => query
            .push(" AND state = 'retrying' AND next_attempt_at > ")
            .push_bind(now.to_string()),
    };
}

/// What there is to do, and what else matches.
struct Plan {
    tally: Vec<EventTally>,
    passed_over: Vec<StateTally>,
    examples: Vec<EventSummary>,
}

async fn plan(
    connection: &mut SqliteConnection,
    change: EventChange,
    wanted: &EventFilter,
    now: Timestamp,
) -> Result<Plan, ApplyError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT state, event_type, COUNT(*) AS events FROM events WHERE TRUE",
    );
    push_open(&mut query, change, now);
    filter::push(&mut query, wanted);
    let rows = query
        .push(" GROUP BY state, event_type ORDER BY state, event_type")
        .build()
        .fetch_all(&mut *connection)
        .await?;
    let tally = rows.iter().map(|row| {
        let reader = Reader::new("events", "a group", row);
        Ok(EventTally {
            state: reader.parse("state", EventState::parse)?,
            event_type: reader.parse("event_type", EventType::parse)?,
            events: reader.count("events")?,
        })
    });
    let tally = tally.collect::<Result<Vec<_>, StoreError>>()?;

    let mut passed_over = Vec::new();
    if tally.is_empty() || !wanted.ids.is_empty() {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT state, COUNT(*) AS events FROM events WHERE NOT (TRUE",
        );
        push_open(&mut query, change, now);
        query.push(")");
        filter::push(&mut query, wanted);
        let rows = query
            .push(" GROUP BY state ORDER BY state")
            .build()
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let reader = Reader::new("events", "a group", row);
            passed_over.push(StateTally {
                state: reader.parse("state", EventState::parse)?,
                events: reader.count("events")?,
            });
        }
    }

    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(SUMMARY).push(" FROM events WHERE TRUE");
    push_open(&mut query, change, now);
    filter::push(&mut query, wanted);
    let rows = query
        .push(" ORDER BY received_at DESC, source, event_id LIMIT ")
        .push_bind(EXAMPLES)
        .build()
        .fetch_all(connection)
        .await?;
    let examples = rows.iter().map(summary).collect::<Result<_, _>>()?;
    Ok(Plan {
        tally,
        passed_over,
        examples,
    })
}
