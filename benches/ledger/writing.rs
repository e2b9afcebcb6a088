//! What the index that all listings rely on costs those who write: batches into the ledger with it,
//! without it, and with it again.

use std::time::{Duration, Instant};

use hookmirror::model::changes::{Changes, Decision, IgnoreReason, Planned};
use hookmirror::model::event::{Event, EventId, EventKey, EventType, Trigger};
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::source::SourceName;
use hookmirror::model::time::Timestamp;
use hookmirror::store::Store;
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::{Failed, rows};

const BATCHES: u32 = 100;
const EVENTS: u32 = 200;
const DROP: &str = "DROP INDEX events_by_kind";
const CREATE: &str =
    "CREATE INDEX events_by_kind ON events (state, source, event_type, received_at)";

pub(crate) async fn on_sqlite(
    store: &dyn Store,
    direct: &mut SqliteConnection,
) -> Result<(), Failed> {
    measure("sqlite", "with events_by_kind", store, 0).await?;
    sqlx::raw_sql(DROP).execute(&mut *direct).await?;
    measure("sqlite", "without", store, 1).await?;
    sqlx::raw_sql(CREATE).execute(direct).await?;
    measure("sqlite", "with it again", store, 2).await
}

pub(crate) async fn on_postgres(store: &dyn Store, url: &str) -> Result<(), Failed> {
    let mut direct = PgConnection::connect(url).await?;
    measure("postgres", "with events_by_kind", store, 0).await?;
    sqlx::raw_sql(DROP).execute(&mut direct).await?;
    measure("postgres", "without", store, 1).await?;
    sqlx::raw_sql(CREATE).execute(&mut direct).await?;
    measure("postgres", "with it again", store, 2).await
}

async fn measure(engine: &str, how: &str, store: &dyn Store, round: u32) -> Result<(), Failed> {
    let mut took: Vec<Duration> = Vec::new();
    for batch in 0..BATCHES {
        let planned: Vec<Planned> = (0..EVENTS)
            .filter_map(|number| event(round, batch, number))
            .collect();
        let begun = Instant::now();
        store
            .apply(&planned, Timestamp::from_seconds(rows::NEWEST))
            .await?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let median = took[took.len() / 2].as_secs_f64() * 1000.0;
    println!("{engine:<9} apply {EVENTS} events, {how:<27} {median:>17.1}");
    Ok(())
}

/// Nothing is done about it, so that the ledger is all that is written.
fn event(round: u32, batch: u32, number: u32) -> Option<Planned> {
    let types = ["session.created", "session.ended", "role.updated"];
    let event_type = types[number as usize % types.len()];
    let seconds = rows::NEWEST + i64::from(round * BATCHES + batch);
    Some(Planned {
        event: Event {
            key: EventKey {
                source: SourceName::parse("clerk")?,
                id: EventId::parse(&format!("msg_{round}_{batch}_{number}"))?,
            },
            event_type: EventType::parse(event_type)?,
            received_at: Timestamp::from_millis(seconds * 1000 + i64::from(number)),
            trigger: Trigger::Webhook,
            headers: KeptHeaders::default(),
            trace: None,
            body: vec![b'x'; 350].into(),
        },
        subject: Some(format!("user_{}", number * 977 % 200_000)),
        keep_payload: true,
        decision: Decision::Apply(Changes::Ignore(IgnoreReason::TypeNotHandled)),
    })
}
