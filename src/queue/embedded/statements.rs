//! What the writer writes, one function an order. Each runs within the writer's transaction.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::depth::Removed;
use super::row::Flaw;
use crate::model::event::Event;

/// Rows in one INSERT; nine values each, far below SQLite's limit of 32,766.
const ROWS: usize = 128;

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    events: &[(i64, &Event)],
) -> Result<(), sqlx::Error> {
    for rows in events.chunks(ROWS) {
        QueryBuilder::<Sqlite>::new(
            "INSERT INTO messages (seq, source, event_id, event_type, received_at, trigger, headers, \
             traceparent, body) ",
        )
        .push_values(rows, |mut row, (seq, event)| {
            row.push_bind(*seq)
                .push_bind(event.key.source.as_str())
                .push_bind(event.key.id.as_str())
                .push_bind(event.event_type.as_str())
                .push_bind(event.received_at.as_millis())
                .push_bind(event.trigger.name())
                .push_bind(event.headers.as_json())
                .push_bind(event.trace.map(|trace| trace.to_string()))
                .push_bind(&event.body[..]);
        })
        .build()
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub(super) async fn remove(
    connection: &mut SqliteConnection,
    seqs: &[i64],
) -> Result<Removed, sqlx::Error> {
    let seqs = serde_json::json!(seqs).to_string();
    let removed = sqlx::query(
        "SELECT COUNT(*) AS messages, COALESCE(SUM(length(body)), 0) AS body_bytes \
         FROM messages WHERE seq IN (SELECT value FROM json_each(?))",
    )
    .bind(&seqs)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?))")
        .bind(&seqs)
        .execute(connection)
        .await?;
    Removed::read(&removed)
}

pub(super) async fn remove_dead(
    connection: &mut SqliteConnection,
    ids: &[i64],
) -> Result<Removed, sqlx::Error> {
    let ids = serde_json::json!(ids).to_string();
    let removed = sqlx::query(
        "SELECT COUNT(*) AS messages, COALESCE(SUM(length(body)), 0) AS body_bytes \
         FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))",
    )
    .bind(&ids)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))")
        .bind(&ids)
        .execute(connection)
        .await?;
    Removed::read(&removed)
}

/// Notes how often a message was handed out with caution.
pub(super) async fn charge(
    connection: &mut SqliteConnection,
    seq: i64,
    deliveries: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO suspects (seq, deliveries) VALUES (?, ?) \
         ON CONFLICT (seq) DO UPDATE SET deliveries = excluded.deliveries",
    )
    .bind(seq)
    .bind(deliveries)
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves a message to the dead letters; answers how many there were to move: one or none.
pub(super) async fn bury(
    connection: &mut SqliteConnection,
    seq: i64,
    unreadable: Option<Flaw>,
) -> Result<u64, sqlx::Error> {
    let moved = sqlx::query(
        "INSERT INTO dead_letters \
         (source, event_id, event_type, received_at, trigger, headers, traceparent, body, unreadable) \
         SELECT source, event_id, event_type, received_at, trigger, headers, traceparent, body, ? \
         FROM messages WHERE seq = ?",
    )
    .bind(unreadable)
    .bind(seq)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    sqlx::query("DELETE FROM messages WHERE seq = ?")
        .bind(seq)
        .execute(connection)
        .await?;
    Ok(moved)
}
