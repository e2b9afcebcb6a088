//! Who keeps whom away, where rows alone cannot: a fact, a customer or a user may have no row yet.
//!
//! Advisory locks that end with the transaction. Everyone takes all that it needs at once and in the
//! order of their numbers, so that no two wait for each other in a circle; row locks come after all of
//! them. Only a batch that is split takes them out of order, as its second part begins while it holds
//! those of the first: then the server may have to choose a victim, which begins anew.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::super::tables::Held;

/// The server's table of locks is shared and small (64 for each connection by default): who needs
/// more keys than this keeps everyone away.
const MOST_KEYS: usize = 64;

/// Keeps everyone else away from these keys until the transaction ends.
pub(super) async fn lock(
    connection: &mut PgConnection,
    keys: &BTreeSet<String>,
) -> Result<Held, sqlx::Error> {
    let numbers: BTreeSet<i64> = keys.iter().map(|key| number(key)).collect();
    if numbers.is_empty() {
        return Ok(Held::These);
    }
    let all = number("");
    if numbers.len() > MOST_KEYS {
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(all)
            .execute(connection)
            .await?;
        return Ok(Held::All);
    }
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)")
        .bind(all)
        .execute(&mut *connection)
        .await?;
    // Without ORDER BY: sorting would come after the call. UNNEST keeps the order of the array.
    sqlx::query("SELECT pg_advisory_xact_lock(number) FROM UNNEST($1::bigint[]) AS number")
        .bind(numbers.into_iter().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(Held::These)
}

/// The same in every version of this program, as two may run at once. Two keys with one number only
/// wait for each other without need. No key is empty: that stands for all of them.
fn number(key: &str) -> i64 {
    let digest = Sha256::new()
        .chain_update(b"hookmirror\0")
        .chain_update(key)
        .finalize();
    digest[..8]
        .iter()
        .fold(0, |number, byte| number << 8 | i64::from(*byte))
}
