//! What people and settings change about payments, and what people look at.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::super::attribute;
use super::super::problem::{ApplyError, unavailable};
use super::super::related::of_users;
use super::contention::Contention;
use super::tables::PostgresTables;
use super::{PostgresStore, StoreError};
use crate::model::payment::{Attribution, Facts, Ownership};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Users whose entitlement is derived anew in one transaction.
const PAGE: i64 = 200;

/// Every stored fact of one user.
pub(super) async fn facts_of(
    connection: &mut PgConnection,
    user: &UserId,
) -> Result<Facts, StoreError> {
    let users = BTreeSet::from([user.clone()]);
    let stored = of_users(&mut PostgresTables(connection), &users).await;
    stored
        .map(|stored| stored.facts)
        .map_err(|error| error.into_store_error("read the payments of a user"))
}

/// Whose a session or a subscription is.
pub(super) async fn find_ownership(
    store: &PostgresStore,
    id: &str,
) -> Result<Option<Ownership>, StoreError> {
    let action = "look for a payment";
    let mut connection = store.acquire(action).await?;
    attribute::ownership(&mut PostgresTables(&mut connection), id)
        .await
        .map_err(|error| error.into_store_error(action))
}

/// Gives a session or a subscription to a user.
pub(super) async fn attribute(
    store: &PostgresStore,
    id: &str,
    user: &UserId,
    from: Option<&UserId>,
    now: Timestamp,
) -> Result<Attribution, StoreError> {
    let action = "give a payment to a user";
    let attempt = || async {
        let mut transaction = store.begin(action).await?;
        let mut tables = PostgresTables(&mut transaction);
        let attribution =
            attribute::attribute(&mut tables, id, user, from, store.policy, now).await?;
        transaction.commit().await?;
        Ok::<_, ApplyError>(attribution)
    };
    let mut contention = Contention::about((id, user));
    loop {
        match attempt().await {
            Ok(attribution) => return Ok(attribution),
            Err(error) => contention
                .wait(error)
                .await
                .map_err(|error| error.into_store_error(action))?,
        }
    }
}

/// Derives the entitlements anew that another policy, or an earlier version, may have written.
pub(super) async fn reassess(store: &PostgresStore, now: Timestamp) -> Result<u64, StoreError> {
    let action = "derive entitlements anew";
    let mut after = String::new();
    let mut reassessed = 0;
    loop {
        let users = page(store, &after).await?;
        let Some(last) = users.last() else {
            return Ok(reassessed);
        };
        after = last.to_string();
        reassessed += users.len() as u64;
        let attempt = || async {
            let mut transaction = store.begin(action).await?;
            let mut tables = PostgresTables(&mut transaction);
            attribute::reassess(&mut tables, &users, store.policy, now).await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(())
        };
        let mut contention = Contention::about(&after);
        while let Err(error) = attempt().await {
            contention
                .wait(error)
                .await
                .map_err(|error| error.into_store_error(action))?;
        }
    }
}

async fn page(store: &PostgresStore, after: &str) -> Result<BTreeSet<UserId>, StoreError> {
    let action = "look for entitlements to derive anew";
    let mut connection = store.acquire(action).await?;
    let users: Vec<String> = sqlx::query_scalar(
        "SELECT user_id FROM entitlements WHERE rule IS NULL AND user_id > $1 \
         UNION SELECT user_id FROM subscriptions \
         WHERE status = 'past_due' AND user_id IS NOT NULL AND user_id > $1 \
         ORDER BY user_id LIMIT $2",
    )
    .bind(after)
    .bind(PAGE)
    .fetch_all(&mut *connection)
    .await
    .map_err(unavailable(action))?;
    Ok(users.iter().filter_map(|id| UserId::parse(id)).collect())
}
