//! Who keeps whom away, where rows alone cannot: a session, a customer or a user may have no row yet.
//!
//! Advisory locks that end with the transaction. Everyone takes them in the order session, customer,
//! user, and within each in the order of their numbers, so that no two wait for each other in a
//! circle; row locks come after all of them. Only a batch that is split takes them out of order, as
//! its second part begins while it holds those of the first: then the server may have to choose a
//! victim, which begins anew.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use sha2::{Digest, Sha256};

/// What a key names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Class {
    Session,
    Customer,
    User,
}

/// The server's table of locks is shared and small (64 for each connection by default): who needs
/// more keys of a class than this takes the whole class.
const MOST_KEYS: usize = 64;

/// Keeps everyone else away from these keys until the transaction ends.
pub(super) async fn lock<'k>(
    connection: &mut PgConnection,
    class: Class,
    keys: impl IntoIterator<Item = &'k str>,
) -> Result<(), sqlx::Error> {
    let numbers: BTreeSet<i64> = keys.into_iter().map(|key| number(class, key)).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let whole_class = number(class, "");
    if numbers.len() > MOST_KEYS {
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(whole_class)
            .execute(connection)
            .await?;
        return Ok(());
    }
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)")
        .bind(whole_class)
        .execute(&mut *connection)
        .await?;
    // Without ORDER BY: sorting would come after the call. UNNEST keeps the order of the array.
    sqlx::query("SELECT pg_advisory_xact_lock(number) FROM UNNEST($1::bigint[]) AS number")
        .bind(numbers.into_iter().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// The same in every version of this program, as two may run at once. Two keys with one number only
/// wait for each other without need. No key is empty: that is the class itself.
fn number(class: Class, key: &str) -> i64 {
    let class: &[u8] = match class {
        Class::Session => b"hookmirror session\0",
        Class::Customer => b"hookmirror customer\0",
        Class::User => b"hookmirror user\0",
    };
    let digest = Sha256::new()
        .chain_update(class)
        .chain_update(key)
        .finalize();
    digest[..8]
        .iter()
        .fold(0, |number, byte| number << 8 | i64::from(*byte))
}
