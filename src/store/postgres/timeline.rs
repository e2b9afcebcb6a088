//! Everything that happened to one user's things, in the order of time.

use sqlx::{PgConnection, Postgres, QueryBuilder, Row};

use super::super::problem::unavailable;
use super::super::story::{Story, story};
use super::ledger::read_key;
use super::operators::{self, action_record};
use super::read_ledger::{SUMMARY, attempt, summary};
use super::rows::{Reader, column};
use super::tables::PostgresTables;
use super::{PostgresStore, StoreError, read_outbox};
use crate::model::ledger::EventSummary;
use crate::model::timeline::{Happening, Timeline};
use crate::model::user::UserId;

const DOING: &str = "tell what happened";

/// What happened to all that hangs together with this subject; of each sort the newest `limit`.
pub(super) async fn read(
    store: &PostgresStore,
    subject: &str,
    limit: u32,
) -> Result<Timeline, StoreError> {
    let mut snapshot = store.snapshot(DOING).await?;
    let story = story(&mut PostgresTables(&mut snapshot), subject)
        .await
        .map_err(|error| error.into_store_error(DOING))?;
    // One more than asked for tells whether there are more.
    let most = i64::from(limit).saturating_add(1);
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
    connection: &mut PgConnection,
    story: &Story,
    most: i64,
) -> Result<Vec<EventSummary>, StoreError> {
    let subjects: Vec<&str> = story.subjects.iter().map(String::as_str).collect();
    // The newest of each subject: else the planner might look for them among the newest of all.
    let rows = QueryBuilder::<Postgres>::new("SELECT ")
        .push(SUMMARY)
        .push(" FROM UNNEST(")
        .push_bind(subjects)
        .push("::text[]) AS about CROSS JOIN LATERAL (SELECT ")
        .push(SUMMARY)
        .push(
            " FROM events WHERE subject = about ORDER BY received_at DESC, source, event_id LIMIT ",
        )
        .push_bind(most)
        .push(") AS events ORDER BY received_at DESC, source, event_id LIMIT ")
        .push_bind(most)
        .build()
        .fetch_all(connection)
        .await
        .map_err(unavailable(DOING))?;
    rows.iter().map(summary).collect()
}

async fn attempts(
    connection: &mut PgConnection,
    events: &[EventSummary],
    most: i64,
) -> Result<Vec<Happening>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.source, a.event_id, a.attempt, a.at, a.trigger, a.state, a.outcome, a.error \
         FROM UNNEST($1::text[], $2::text[]) AS wanted(source, event_id) \
         JOIN event_attempts AS a ON a.source = wanted.source AND a.event_id = wanted.event_id \
         ORDER BY a.at DESC, a.source, a.event_id, a.attempt DESC LIMIT $3",
    )
    .bind(column(events, |event| event.key.source.as_str()))
    .bind(column(events, |event| event.key.id.as_str()))
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
    connection: &mut PgConnection,
    story: &Story,
    most: i64,
) -> Result<Vec<Happening>, StoreError> {
    let users: Vec<&str> = story.users.iter().map(UserId::as_str).collect();
    let rows = sqlx::query(
        "SELECT user_id, at, desired::text AS desired, outcome, error FROM outbox_attempts \
         WHERE user_id = ANY($1) ORDER BY at DESC LIMIT $2",
    )
    .bind(users)
    .bind(most)
    .fetch_all(connection)
    .await
    .map_err(unavailable(DOING))?;
    let deliveries = rows.iter().map(|row| {
        let user: &str = row.try_get("user_id").unwrap_or_default();
        let reader = Reader::new("outbox_attempts", user, row);
        let user_id = reader.parse("user_id", UserId::parse)?;
        let attempt = read_outbox::attempt(&user_id, row)?;
        Ok(Happening::Delivery { user_id, attempt })
    });
    deliveries.collect()
}

/// What names one of the ids in its target. Operators do little: all that they did is looked through.
async fn actions(
    connection: &mut PgConnection,
    story: &Story,
    events: &[EventSummary],
    most: i64,
) -> Result<Vec<Happening>, StoreError> {
    let ids = events.iter().map(|event| event.key.id.as_str());
    let ids: Vec<&str> = ids
        .chain(story.subjects.iter().map(String::as_str))
        .collect();
    let rows = QueryBuilder::<Postgres>::new("SELECT ")
        .push(operators::COLUMNS)
        .push(
            " FROM operator_actions WHERE EXISTS ( \
             SELECT 1 FROM jsonb_path_query(target, 'strict $.**') AS named \
             WHERE jsonb_typeof(named) = 'string' AND named #>> '{}' = ANY(",
        )
        .push_bind(ids)
        .push(")) ORDER BY id DESC LIMIT ")
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
