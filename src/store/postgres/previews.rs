//! Trying out what events would do.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder};

use super::super::preview::preview;
use super::super::previews::{MOST_BYTES, Previews};
use super::super::problem::{ApplyError, unavailable};
use super::super::tables::Tables;
use super::contention::Contention;
use super::ledger::read_key;
use super::rows::Reader;
use super::tables::PostgresTables;
use super::{PostgresStore, StoreError, bounded, filter};
use crate::model::changes::Planned;
use crate::model::event::{Event, EventType, Trigger};
use crate::model::headers::KeptHeaders;
use crate::model::ledger::EventFilter;
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::preview::{Previewed, Recalled, RecalledEvent, Standing};
use crate::model::state::EventState;
use crate::model::time::Timestamp;

const DOING: &str = "try out what events would do";

#[async_trait]
impl Previews for PostgresStore {
    async fn recall_events(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Recalled, StoreError> {
        bounded("read events again", recall(self, filter, limit)).await
    }

    async fn preview(
        &self,
        batch: &[Planned],
        matched: u64,
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<(Previewed, ActionRecord), StoreError> {
        let attempts = async {
            let mut contention = Contention::about(batch.first().map(|planned| &planned.event.key));
            loop {
                match attempt(self, batch, matched, action, now).await {
                    Ok(done) => return Ok(done),
                    Err(error) => contention
                        .wait(error)
                        .await
                        .map_err(|error| error.into_store_error(DOING))?,
                }
            }
        };
        bounded(DOING, attempts).await
    }
}

async fn recall(
    store: &PostgresStore,
    wanted: &EventFilter,
    limit: u32,
) -> Result<Recalled, StoreError> {
    let action = "read events again";
    let mut snapshot = store.snapshot(action).await?;
    let mut count = QueryBuilder::<Postgres>::new(
        "SELECT COUNT(payload) AS there, COUNT(*) - COUNT(payload) AS missing \
         FROM events WHERE TRUE",
    );
    filter::push(&mut count, wanted);
    let counts = count
        .build()
        .fetch_one(&mut *snapshot)
        .await
        .map_err(unavailable(action))?;
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT source, event_id, event_type, state, outcome, received_at, payload FROM (\
         SELECT first.*, SUM(length(payload)) OVER (ORDER BY received_at, source, event_id \
         ROWS UNBOUNDED PRECEDING) AS bytes FROM (\
         SELECT source, event_id, event_type, state, outcome, received_at, payload \
         FROM events WHERE payload IS NOT NULL",
    );
    filter::push(&mut query, wanted);
    let rows = query
        .push(" ORDER BY received_at, source, event_id LIMIT ")
        .push_bind(i64::from(limit))
        .push(") AS first) AS summed WHERE bytes <= ")
        .push_bind(MOST_BYTES)
        .push(" ORDER BY received_at, source, event_id")
        .build()
        .fetch_all(&mut *snapshot)
        .await
        .map_err(unavailable(action))?;
    let counts = Reader::new("events", "those that match", &counts);
    Ok(Recalled {
        events: rows.iter().map(recalled).collect::<Result<_, _>>()?,
        with_payload: counts.count("there")?,
        without_payload: counts.count("missing")?,
    })
}

/// Going back to the savepoint gives back what was locked since.
async fn attempt(
    store: &PostgresStore,
    batch: &[Planned],
    matched: u64,
    action: &OperatorAction,
    now: Timestamp,
) -> Result<(Previewed, ActionRecord), ApplyError> {
    let mut transaction = store.begin(DOING).await?;
    sqlx::query("SAVEPOINT preview")
        .execute(&mut *transaction)
        .await?;
    let mut tables = PostgresTables(&mut transaction);
    let previewed = preview(&mut tables, batch, store.policy, now).await?;
    sqlx::query("ROLLBACK TO preview")
        .execute(&mut *transaction)
        .await?;
    let mut tables = PostgresTables(&mut transaction);
    let record = tables.record_action(action, matched, now).await?;
    transaction.commit().await?;
    Ok((previewed, record))
}

fn recalled(row: &PgRow) -> Result<RecalledEvent, StoreError> {
    let key = read_key(row)?;
    let name = key.to_string();
    let reader = Reader::new("events", &name, row);
    let body: Vec<u8> = reader.get("payload")?;
    let standing = Standing {
        state: reader.parse("state", EventState::parse)?,
        outcome: reader.get("outcome")?,
    };
    let event = Event {
        event_type: reader.parse("event_type", EventType::parse)?,
        received_at: reader.time("received_at")?,
        trigger: Trigger::Retry,
        headers: KeptHeaders::default(),
        trace: None,
        body: body.into(),
        key,
    };
    Ok(RecalledEvent { event, standing })
}
