//! Everything that happened to one user's things, in the order of time.

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::problem::unavailable;
use super::super::story::{Story, story};
use super::ledger::read_key;
use super::operators::{self, action_record};
use super::read_ledger::{SUMMARY, attempt, summary};
use super::rows::json_list;
use super::tables::SqliteTables;
use super::{SqliteStore, StoreError, read_outbox};
use crate::model::ledger::EventSummary;
use crate::model::timeline::{Happening, Timeline};
use crate::model::user::UserId;

const DOING: &str = "tell what happened";

/// What happened to all that hangs together with this subject; of each sort the newest `limit`.
pub(super) async fn read(
    store: &SqliteStore,
    subject: &str,
    limit: u32,
) -> Result<Timeline, StoreError> {
    let mut snapshot = store.readers.begin().await.map_err(unavailable(DOING))?;
    let story = story(&mut SqliteTables(&mut snapshot), subject)
        .await
        .map_err(|error| error.into_store_error(DOING))?;
    // One more than asked for tells whether there are more.
    let most = limit.saturating_add(1);
    let events = events(&mut snapshot, &story, most).await?;
    let mut entries = attempts(&mut snapshot, &events, most).await?;
    entries.extend(deliveries(&mut snapshot, &story, most).await?);
    entries.extend(actions(&mut snapshot, &story, &events, most).await?);
    entries.extend(events.into_iter().map(Happening::Event));
    let mut timeline = Timeline {
        users: story.users.into_iter().collect(),
        subjects: story.subjects.into_iter().collect(),
        entries,
        is_cut: false,
    };
    timeline.keep_newest(limit as usize);
    Ok(timeline)
}

async fn events(
    connection: &mut SqliteConnection,
    story: &Story,
    most: u32,
) -> Result<Vec<EventSummary>, StoreError> {
    let rows = QueryBuilder::<Sqlite>::new("SELECT ")
        .push(SUMMARY)
        .push(
            " FROM events INDEXED BY events_by_subject \
             WHERE subject IN (SELECT value FROM json_each(",
        )
        .push_bind(json_list(story.subjects.iter().map(String::as_str)))
        .push(")) ORDER BY received_at DESC, source, event_id LIMIT ")
        .push_bind(most)
        .build()
        .fetch_all(connection)
        .await
        .map_err(unavailable(DOING))?;
    rows.iter().map(summary).collect()
}

async fn attempts(
    connection: &mut SqliteConnection,
    events: &[EventSummary],
    most: u32,
) -> Result<Vec<Happening>, StoreError> {
    let keys: Vec<[&str; 2]> = events
        .iter()
        .map(|event| [event.key.source.as_str(), event.key.id.as_str()])
        .collect();
    let rows = sqlx::query(
        "SELECT a.source, a.event_id, a.attempt, a.at, a.trigger, a.state, a.outcome, a.error \
         FROM json_each(?) AS wanted CROSS JOIN event_attempts AS a \
         ON a.source = wanted.value ->> 0 AND a.event_id = wanted.value ->> 1 \
         ORDER BY a.at DESC, a.source, a.event_id, a.attempt DESC LIMIT ?",
    )
    .bind(serde_json::json!(keys).to_string())
    .bind(most)
    .fetch_all(connection)
    .await
    .map_err(unavailable(DOING))?;
    let mut happenings = Vec::with_capacity(rows.len());
    for row in &rows {
        let key = read_key(row)?;
        let Some(event) = events.iter().find(|event| event.key == key) else {
            continue;
        };
        happenings.push(Happening::Attempt {
            attempt: attempt(&key.to_string(), row)?,
            event_type: event.event_type.clone(),
            key,
        });
    }
    Ok(happenings)
}

async fn deliveries(
    connection: &mut SqliteConnection,
    story: &Story,
    most: u32,
) -> Result<Vec<Happening>, StoreError> {
    let rows = sqlx::query(
        "SELECT user_id, at, desired, outcome, error FROM outbox_attempts \
         WHERE user_id IN (SELECT value FROM json_each(?)) ORDER BY at DESC, rowid DESC LIMIT ?",
    )
    .bind(json_list(story.users.iter().map(UserId::as_str)))
    .bind(most)
    .fetch_all(connection)
    .await
    .map_err(unavailable(DOING))?;
    let deliveries = rows.iter().map(|row| {
        let user: &str = row.try_get("user_id").unwrap_or_default();
        let reader = super::rows::Reader::new("outbox_attempts", user, row);
        let user_id = reader.parse("user_id", UserId::parse)?;
        let attempt = read_outbox::attempt(&user_id, row)?;
        Ok(Happening::Delivery { user_id, attempt })
    });
    deliveries.collect()
}

/// What names one of the ids in its target. Operators do little: all that they did is looked through.
async fn actions(
    connection: &mut SqliteConnection,
    story: &Story,
    events: &[EventSummary],
    most: u32,
) -> Result<Vec<Happening>, StoreError> {
    let ids = events.iter().map(|event| event.key.id.as_str());
    let ids = ids.chain(story.subjects.iter().map(String::as_str));
    let rows = QueryBuilder::<Sqlite>::new("SELECT ")
        .push(operators::COLUMNS)
        .push(
            " FROM operator_actions WHERE EXISTS (SELECT 1 FROM json_tree(iif(json_valid(target), target, '{}')) AS named \
             WHERE named.type = 'text' AND named.value IN (SELECT value FROM json_each(",
        )
        .push_bind(json_list(ids))
        .push("))) ORDER BY id DESC LIMIT ")
        .push_bind(most)
        .build()
        .fetch_all(connection)
        .await
        .map_err(unavailable(DOING))?;
    let actions = rows.iter().map(action_record);
    actions
        .map(|action| action.map(Happening::Action))
        .collect()
}
