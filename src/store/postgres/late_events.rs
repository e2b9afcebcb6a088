//! Events that come after the person whom they are about was erased.

use std::collections::BTreeSet;

use sqlx::PgConnection;

/// Opens the matter of persons again who count as erased.
pub(super) async fn reopen(
    connection: &mut PgConnection,
    about: &BTreeSet<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH erased AS MATERIALIZED (\
         SELECT id FROM user_tombstones WHERE erased_at IS NOT NULL AND (id = ANY($1) \
         OR id IN (SELECT user_id FROM erased_subjects WHERE subject = ANY($1))) \
         ORDER BY id FOR UPDATE) \
         UPDATE user_tombstones AS t SET erased_at = NULL FROM erased WHERE t.id = erased.id",
    )
    .bind(about.iter().copied().collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
