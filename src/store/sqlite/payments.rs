//! What people and settings change about payments, and what people look at.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::super::attribute;
use super::super::problem::{ApplyError, unavailable};
use super::super::related::of_user;
use super::rows::Reader;
use super::tables::SqliteTables;
use super::{SqliteStore, StoreError};
use crate::model::operator::OperatorAction;
use crate::model::payment::{Attributed, CustomerLink, Facts, Ownership, WaitingPayment};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Those with events that wait. Grouping by `+subject` keeps SQLite from walking all subjects in order
/// instead of the few events that wait.
const WAITING: &str = "WITH waiting AS ( \
         SELECT subject, COUNT(*) AS events, MIN(received_at) AS oldest FROM events \
         WHERE state = 'waiting' AND subject IS NOT NULL GROUP BY +subject) \
     SELECT COALESCE(s.id, p.id, w.subject) AS id, COALESCE(s.status, p.status) AS status, \
         s.payment, COALESCE(s.customer, p.customer) AS customer, s.amount_total, s.currency, \
         COALESCE(s.created_at, p.created_at) AS created_at, w.events, w.oldest \
     FROM waiting AS w \
     LEFT JOIN checkout_sessions AS s ON s.id = w.subject AND s.user_id IS NULL \
     LEFT JOIN subscriptions AS p ON p.id = w.subject AND p.user_id IS NULL \
     ORDER BY w.oldest, 1 LIMIT ?";

/// Users whose entitlement is derived anew in one transaction.
const PAGE: i64 = 200;

/// Every stored fact of one user, and whose the customers are that they name.
pub(super) async fn facts_of(
    connection: &mut SqliteConnection,
    user: &UserId,
) -> Result<(Facts, Vec<CustomerLink>), StoreError> {
    of_user(&mut SqliteTables(connection), user)
        .await
        .map_err(|error| error.into_store_error("read the payments of a user"))
}

/// Whose a session or a subscription is.
pub(super) async fn find_ownership(
    store: &SqliteStore,
    id: &str,
) -> Result<Option<Ownership>, StoreError> {
    let action = "look for a payment";
    let mut connection = store.readers.acquire().await.map_err(unavailable(action))?;
    attribute::ownership(&mut SqliteTables(&mut connection), id)
        .await
        .map_err(|error| error.into_store_error(action))
}

/// Sessions and subscriptions that wait for their user, the longest waiting first.
pub(super) async fn waiting(
    readers: &SqlitePool,
    limit: u32,
) -> Result<Vec<WaitingPayment>, StoreError> {
    let rows = sqlx::query(WAITING)
        .bind(limit)
        .fetch_all(readers)
        .await
        .map_err(unavailable("list payments that wait for their user"))?;
    rows.iter().map(waiting_payment).collect()
}

fn waiting_payment(row: &SqliteRow) -> Result<WaitingPayment, StoreError> {
    let reader = Reader::new("checkout_sessions", "those that wait", row);
    Ok(WaitingPayment {
        id: reader.get("id")?,
        status: reader.get("status")?,
        payment: reader.get("payment")?,
        customer: reader.get("customer")?,
        amount: reader.get("amount_total")?,
        currency: reader.get("currency")?,
        created_at: reader.optional_time("created_at")?,
        events: reader.count("events")?,
        oldest_received_at: reader.time("oldest")?,
    })
}

/// Gives a session or a subscription to a user.
pub(super) async fn attribute(
    store: &SqliteStore,
    id: &str,
    user: &UserId,
    from: Option<&UserId>,
    action: &OperatorAction,
    now: Timestamp,
) -> Result<Attributed, StoreError> {
    const DOING: &str = "give a payment to a user";
    let attempt = async {
        let mut transaction = store.begin(DOING).await?;
        let mut tables = SqliteTables(&mut transaction);
        let attributed =
            attribute::attribute(&mut tables, id, user, from, action, store.policy, now).await?;
        transaction.commit().await?;
        Ok::<_, ApplyError>(attributed)
    };
    attempt.await.map_err(|error| error.into_store_error(DOING))
}

/// Derives the entitlements anew that another policy, or an earlier version, may have written.
pub(super) async fn reassess(store: &SqliteStore, now: Timestamp) -> Result<u64, StoreError> {
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
        let attempt = async {
            let mut transaction = store.begin(action).await?;
            let mut tables = SqliteTables(&mut transaction);
            attribute::reassess(&mut tables, &users, store.policy, now).await?;
            transaction.commit().await?;
            Ok::<_, ApplyError>(())
        };
        attempt
            .await
            .map_err(|error| error.into_store_error(action))?;
    }
}

async fn page(store: &SqliteStore, after: &str) -> Result<BTreeSet<UserId>, StoreError> {
    let action = "look for entitlements to derive anew";
    let mut connection = store.readers.acquire().await.map_err(unavailable(action))?;
    let users: Vec<String> = sqlx::query_scalar(
        "SELECT user_id FROM entitlements WHERE rule IS NULL AND user_id > ?1 \
         UNION SELECT user_id FROM subscriptions \
         WHERE status = 'past_due' AND user_id IS NOT NULL AND user_id > ?1 \
         ORDER BY user_id LIMIT ?2",
    )
    .bind(after)
    .bind(PAGE)
    .fetch_all(&mut *connection)
    .await
    .map_err(unavailable(action))?;
    Ok(users.iter().filter_map(|id| UserId::parse(id)).collect())
}
