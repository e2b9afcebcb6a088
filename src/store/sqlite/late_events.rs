//! Events that come after the person whom they are about was erased.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::rows::json_list;

/// Opens the matter of persons again who count as erased.
pub(super) async fn reopen(
    connection: &mut SqliteConnection,
    about: &BTreeSet<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE user_tombstones SET erased_at = NULL WHERE erased_at IS NOT NULL AND id IN (\
         SELECT value FROM json_each(?1) \
         UNION SELECT user_id FROM erased_subjects \
         WHERE subject IN (SELECT value FROM json_each(?1)))",
    )
    .bind(json_list(about.iter().copied()))
    .execute(connection)
    .await?;
    Ok(())
}
