//! `checkout_sessions` and `entitlements`.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::fold::payments::{Attributed, PaymentFold, Sessions};
use super::super::problem::ApplyError;
use super::StoreError;
use super::rows::{Reader, json_list};
use crate::model::entitlement::Entitlement;
use crate::model::payment::{CheckoutSession, NamedUser, PaymentStatus, SessionStatus};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Rows in one INSERT; 15 values each, far below SQLite's limit of 32,766.
const ROWS: usize = 128;

const COLUMNS: &str = "id, user_id, named_user_id, named_at, customer, payment_intent, \
     subscription, mode, status, payment, amount_total, currency, livemode, created_at, updated_at";

/// Every stored session with the same id or the same customer as one of `incoming`, or as one of
/// those found.
pub(super) async fn related(
    connection: &mut SqliteConnection,
    incoming: &[&CheckoutSession],
) -> Result<Sessions, ApplyError> {
    let ids = incoming.iter().map(|session| session.id.as_str());
    let mut found = select(connection, "id", json_list(ids)).await?;
    let customers: BTreeSet<String> = incoming
        .iter()
        .filter_map(|session| session.customer.clone())
        .chain(
            found
                .values()
                .filter_map(|known| known.session.customer.clone()),
        )
        .collect();
    if !customers.is_empty() {
        let list = json_list(customers.iter().map(String::as_str));
        found.extend(select(connection, "customer", list).await?);
    }
    Ok(found)
}

/// Every stored session of these users.
pub(super) async fn of_users(
    connection: &mut SqliteConnection,
    users: &BTreeSet<UserId>,
) -> Result<Sessions, ApplyError> {
    let list = json_list(users.iter().map(UserId::as_str));
    select(connection, "user_id", list).await
}

async fn select(
    connection: &mut SqliteConnection,
    column: &'static str,
    list: String,
) -> Result<Sessions, ApplyError> {
    let rows = QueryBuilder::<Sqlite>::new("SELECT ")
        .push(COLUMNS)
        .push(" FROM checkout_sessions WHERE ")
        .push(column)
        .push(" IN (SELECT value FROM json_each(")
        .push_bind(list)
        .push("))")
        .build()
        .fetch_all(connection)
        .await?;
    let mut sessions = Sessions::new();
    for row in &rows {
        let known = read_session(row)?;
        sessions.insert(known.session.id.clone(), known);
    }
    Ok(sessions)
}

/// Reads one row of `checkout_sessions`, all columns.
pub(super) fn read_session(row: &SqliteRow) -> Result<Attributed, StoreError> {
    let id: String = row.try_get("id").unwrap_or_default();
    let reader = Reader::new("checkout_sessions", &id, row);
    let named_user = reader
        .parse_optional("named_user_id", UserId::parse)?
        .zip(reader.optional_time("named_at")?)
        .map(|(id, at)| NamedUser { at, id });
    Ok(Attributed {
        user: reader.parse_optional("user_id", UserId::parse)?,
        session: CheckoutSession {
            named_user,
            customer: reader.get("customer")?,
            payment_intent: reader.get("payment_intent")?,
            subscription: reader.get("subscription")?,
            mode: reader.get("mode")?,
            status: reader.parse("status", SessionStatus::parse)?,
            payment: reader.parse("payment", PaymentStatus::parse)?,
            amount_total: reader.get("amount_total")?,
            currency: reader.get("currency")?,
            livemode: reader.get("livemode")?,
            created_at: reader.time("created_at")?,
            updated_at: reader.time("updated_at")?,
            id: reader.get("id")?,
        },
    })
}

/// Writes the sessions that changed.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    fold: &PaymentFold,
) -> Result<(), sqlx::Error> {
    let changed: Vec<&Attributed> = fold
        .changed
        .iter()
        .filter_map(|id| fold.session(id))
        .collect();
    for sessions in changed.chunks(ROWS) {
        upsert(connection, sessions).await?;
    }
    Ok(())
}

async fn upsert(
    connection: &mut SqliteConnection,
    sessions: &[&Attributed],
) -> Result<(), sqlx::Error> {
    QueryBuilder::<Sqlite>::new("INSERT INTO checkout_sessions (")
        .push(COLUMNS)
        .push(") ")
        .push_values(sessions, |mut row, known| {
            let session = &known.session;
            let named = session.named_user.as_ref();
            row.push_bind(session.id.as_str())
                .push_bind(known.user.as_ref().map(UserId::as_str))
                .push_bind(named.map(|named| named.id.as_str()))
                .push_bind(named.map(|named| named.at.to_string()))
                .push_bind(session.customer.as_deref())
                .push_bind(session.payment_intent.as_deref())
                .push_bind(session.subscription.as_deref())
                .push_bind(session.mode.as_deref())
                .push_bind(session.status.as_str())
                .push_bind(session.payment.as_str())
                .push_bind(session.amount_total)
                .push_bind(session.currency.as_deref())
                .push_bind(session.livemode)
                .push_bind(session.created_at.to_string())
                .push_bind(session.updated_at.to_string());
        })
        .push(
            " ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, \
             named_user_id = excluded.named_user_id, named_at = excluded.named_at, \
             customer = excluded.customer, payment_intent = excluded.payment_intent, \
             subscription = excluded.subscription, mode = excluded.mode, \
             status = excluded.status, payment = excluded.payment, \
             amount_total = excluded.amount_total, currency = excluded.currency, \
             livemode = excluded.livemode, created_at = excluded.created_at, \
             updated_at = excluded.updated_at",
        )
        .build()
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the entitlements of the affected users; who has no facts any more has none.
pub(super) async fn write_entitlements(
    connection: &mut SqliteConnection,
    entitlements: &BTreeMap<&UserId, Option<Entitlement>>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let now = now.to_string();
    for (user, entitlement) in entitlements {
        let Some(entitlement) = entitlement else {
            sqlx::query("DELETE FROM entitlements WHERE user_id = ?")
                .bind(user.as_str())
                .execute(&mut *connection)
                .await?;
            continue;
        };
        sqlx::query(
            "INSERT INTO entitlements (user_id, paid, payment, status, reason, \
             checkout_session_id, subscription_id, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (user_id) DO UPDATE SET paid = excluded.paid, \
             payment = excluded.payment, status = excluded.status, reason = excluded.reason, \
             checkout_session_id = excluded.checkout_session_id, \
             subscription_id = excluded.subscription_id, updated_at = excluded.updated_at \
             WHERE (paid, payment, status, reason, checkout_session_id, subscription_id) \
             IS NOT (excluded.paid, excluded.payment, excluded.status, excluded.reason, \
             excluded.checkout_session_id, excluded.subscription_id)",
        )
        .bind(user.as_str())
        .bind(entitlement.paid)
        .bind(entitlement.payment.as_str())
        .bind(entitlement.status.as_str())
        .bind(entitlement.reason.as_str())
        .bind(entitlement.checkout_session_id.as_str())
        .bind(entitlement.subscription_id.as_deref())
        .bind(now.as_str())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
