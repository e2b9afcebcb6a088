//! What the index that all listings rely on costs those who write: batches into the ledger with it
//! and without it.

use std::time::{Duration, Instant};

use hookmirror::model::changes::{Changes, Decision, IgnoreReason, Planned};
use hookmirror::model::event::{Event, EventId, EventKey, EventType, Trigger};
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::source::SourceName;
use hookmirror::model::time::Timestamp;
use hookmirror::store::Store;
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::{Failed, rows};

const BATCHES: u32 = 50;
const EVENTS: u32 = 200;
const DROP: &str = "DROP INDEX events_by_kind";
const CREATE: &str =
    "CREATE INDEX events_by_kind ON events (state, source, event_type, received_at)";

/// In turns, so that whatever else the machine does meets both alike.
const ROUNDS: u32 = 8;

pub(crate) async fn on_sqlite(
    store: &dyn Store,
    direct: &mut SqliteConnection,
) -> Result<(), Failed> {
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        took[round as usize % 2].extend(measure(store, round).await?);
        let change = if round % 2 == 0 { DROP } else { CREATE };
        sqlx::raw_sql(change).execute(&mut *direct).await?;
    }
    say("sqlite", took);
    Ok(())
}

pub(crate) async fn on_postgres(store: &dyn Store, url: &str) -> Result<(), Failed> {
    let mut direct = PgConnection::connect(url).await?;
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        took[round as usize % 2].extend(measure(store, round).await?);
        let change = if round % 2 == 0 { DROP } else { CREATE };
        sqlx::raw_sql(change).execute(&mut direct).await?;
    }
    say("postgres", took);
    Ok(())
}

fn say(engine: &str, took: [Vec<Duration>; 2]) {
    for (how, mut took) in ["with events_by_kind", "without"].into_iter().zip(took) {
        took.sort_unstable();
        let millis = |place: usize| took[place].as_secs_f64() * 1000.0;
        let (fast, median) = (millis(took.len() / 10), millis(took.len() / 2));
        println!(
            "{engine:<9} apply {EVENTS} events {how:<20} p10 {fast:>6.1} p50 {median:>6.1} ms"
        );
    }
}

async fn measure(store: &dyn Store, round: u32) -> Result<Vec<Duration>, Failed> {
    let mut took = Vec::new();
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
    Ok(took)
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
