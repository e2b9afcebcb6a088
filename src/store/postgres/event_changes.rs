//! What people do to many events at once.

use async_trait::async_trait;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};

use super::super::event_changes::{CHUNK, EXAMPLES, EventChanges};
use super::super::problem::ApplyError;
use super::contention::Contention;
use super::operators::{action_record, count_on, record};
use super::read_ledger::{SUMMARY, summary};
use super::rows::{Reader, stored};
use super::{PostgresStore, StoreError, bounded, filter};
use crate::model::by_hand::{ChangedEvents, EventChange, EventTally, StateTally};
use crate::model::event::EventType;
use crate::model::ledger::{EventFilter, EventSummary};
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::state::EventState;
use crate::model::time::Timestamp;

const DOING: &str = "change events";

#[async_trait]
impl EventChanges for PostgresStore {
    async fn change_events(
        &self,
        change: EventChange,
        wanted: &EventFilter,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ChangedEvents, StoreError> {
        let first = in_the_end(action, || begin(self, change, wanted, action, now));
        let (mut changed, mut chunk) = bounded(DOING, first).await?;
        while chunk.may_be_more() {
            let id = changed.action.id;
            let next = in_the_end(action, || go_on(self, change, wanted, id, now));
            (changed.action, chunk) = bounded(DOING, next).await?;
        }
        Ok(changed)
    }
}

/// Begins anew when another writer was in the way.
async fn in_the_end<T, F: Future<Output = Result<T, ApplyError>>>(
    action: &OperatorAction,
    attempt: impl Fn() -> F,
) -> Result<T, StoreError> {
    let mut contention = Contention::about(action.action);
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => contention
                .wait(error)
                .await
                .map_err(|error| error.into_store_error(DOING))?,
        }
    }
}

/// What one transaction did.
#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    /// How many events it looked at.
    chosen: i64,
    /// How many of them it changed; another writer may have been faster.
    changed: i64,
}

impl Chunk {
    fn may_be_more(self) -> bool {
        self.chosen == CHUNK
    }
}

async fn begin(
    store: &PostgresStore,
    change: EventChange,
    wanted: &EventFilter,
    action: &OperatorAction,
    now: Timestamp,
) -> Result<(ChangedEvents, Chunk), ApplyError> {
    let mut transaction = store.begin(DOING).await?;
    let Plan {
        tally,
        passed_over,
        examples,
    } = plan(&mut transaction, change, wanted, now).await?;
    let matched: u64 = tally.iter().map(|tally| tally.events).sum();
    let mut done = Chunk::default();
    if !action.mode.is_dry_run() {
        done = chunk(&mut transaction, change, wanted, now).await?;
    }
    let matched = i64::try_from(matched).unwrap_or(i64::MAX).max(done.changed);
    let row = record(&mut transaction, action, matched, done.changed, now).await?;
    transaction.commit().await?;
    let changed = ChangedEvents {
        action: action_record(&row)?,
        tally,
        passed_over,
        examples,
    };
    Ok((changed, done))
}

async fn go_on(
    store: &PostgresStore,
    change: EventChange,
    wanted: &EventFilter,
    id: i64,
    now: Timestamp,
) -> Result<(ActionRecord, Chunk), ApplyError> {
    let mut transaction = store.begin(DOING).await?;
    let done = chunk(&mut transaction, change, wanted, now).await?;
    let row = count_on(&mut transaction, id, done.changed).await?;
    transaction.commit().await?;
    Ok((action_record(&row)?, done))
}

/// Changes the next few, which are locked in the order in which everyone locks them. What was changed
/// is not found again.
async fn chunk(
    connection: &mut PgConnection,
    change: EventChange,
    wanted: &EventFilter,
    now: Timestamp,
) -> Result<Chunk, ApplyError> {
    let mut query = QueryBuilder::<Postgres>::new(
        "WITH chosen AS MATERIALIZED (SELECT source, event_id FROM events WHERE TRUE",
    );
    push_open(&mut query, change, now);
    filter::push(&mut query, wanted);
    query.push(" LIMIT ").push_bind(CHUNK).push(
        "), locked AS MATERIALIZED (SELECT e.source, e.event_id \
         FROM events AS e JOIN chosen AS c ON e.source = c.source AND e.event_id = c.event_id \
         WHERE TRUE",
    );
    push_open(&mut query, change, now);
    query.push(
        " ORDER BY e.source, e.event_id FOR UPDATE OF e), changed AS (UPDATE events AS e SET ",
    );
    match change {
        EventChange::Discard => query.push("state = 'discarded', next_attempt_at = NULL"),
        EventChange::RetryNow => query.push("next_attempt_at = ").push_bind(stored(now)),
    };
    let row = query
        .push(
            " FROM locked AS l WHERE e.source = l.source AND e.event_id = l.event_id RETURNING 1) \
             SELECT (SELECT COUNT(*) FROM chosen) AS chosen, \
             (SELECT COUNT(*) FROM changed) AS changed",
        )
        .build()
        .fetch_one(connection)
        .await?;
    Ok(Chunk {
        chosen: row.try_get("chosen")?,
        changed: row.try_get("changed")?,
    })
}

/// What it can be done to.
fn push_open(query: &mut QueryBuilder<Postgres>, change: EventChange, now: Timestamp) {
    match change {
        EventChange::Discard => query.push(
            " AND state IN ('queued', 'waiting', 'retrying', 'failed') \
             AND (state <> 'queued' OR outcome = 'paused')",
        ),
        EventChange::RetryNow => query
            .push(" AND state = 'retrying' AND next_attempt_at > ")
            .push_bind(stored(now)),
    };
}

/// What there is to do, and what else matches.
struct Plan {
    tally: Vec<EventTally>,
    passed_over: Vec<StateTally>,
    examples: Vec<EventSummary>,
}

async fn plan(
    connection: &mut PgConnection,
    change: EventChange,
    wanted: &EventFilter,
    now: Timestamp,
) -> Result<Plan, ApplyError> {
    let mut query = QueryBuilder::<Postgres>::new(
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
        let mut query = QueryBuilder::<Postgres>::new(
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

    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query.push(SUMMARY).push(" FROM events WHERE TRUE");
    push_open(&mut query, change, now);
    filter::push(&mut query, wanted);
    let rows = query
        .push(" ORDER BY received_at DESC, source, event_id LIMIT ")
        .push_bind(i64::from(EXAMPLES))
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
