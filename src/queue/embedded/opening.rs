//! What the file remembers of its openings, and how they ended.

use sqlx::{Connection, Row, SqliteConnection};

/// One opening, as it begins.
pub(super) struct Opening {
    /// How many openings just before this one had no orderly end.
    pub(super) unclean_ends: u32,
    /// The place of the last message; zero if there is none.
    pub(super) last_seq: i64,
    /// How often messages were handed out with caution: deliveries and place.
    pub(super) counted: Vec<(u32, i64)>,
}

impl Opening {
    /// Writes down that the file is open. From here on only [`end`] makes this opening a clean one.
    pub(super) async fn begin(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let unclean_ends: i64 = sqlx::query_scalar(
            "UPDATE openings SET unclean_ends = IIF(open, unclean_ends + 1, 0), open = 1 \
             RETURNING unclean_ends",
        )
        .fetch_one(&mut *transaction)
        .await?;
        // Counts outlive their messages until here, and no longer: places are used again.
        sqlx::query("DELETE FROM suspects WHERE seq NOT IN (SELECT seq FROM messages)")
            .execute(&mut *transaction)
            .await?;
        let last_seq = sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM messages")
            .fetch_one(&mut *transaction)
            .await?;
        let rows = sqlx::query("SELECT deliveries, seq FROM suspects")
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let mut counted = Vec::with_capacity(rows.len());
        for row in rows {
            counted.push((row.try_get("deliveries")?, row.try_get("seq")?));
        }
        Ok(Self {
            unclean_ends: u32::try_from(unclean_ends).unwrap_or(u32::MAX),
            last_seq,
            counted,
        })
    }
}

/// Writes down that the end was an orderly one.
pub(super) async fn end(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE openings SET open = 0, unclean_ends = 0")
        .execute(connection)
        .await?;
    Ok(())
}
