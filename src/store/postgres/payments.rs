//! `checkout_sessions` and `entitlements`.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::super::fold::payments::{Attributed, PaymentFold, Sessions};
use super::super::problem::ApplyError;
use super::StoreError;
use super::locks::{Class, lock};
use super::rows::{Reader, column, stored};
use crate::model::entitlement::Entitlement;
use crate::model::payment::{CheckoutSession, NamedUser, PaymentStatus, SessionStatus};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Every stored session with the same id or the same customer as one of `incoming`, or as one of
/// those found, with nobody else writing any of them.
///
/// Which customers a session has is known for certain only under the session's lock, and which
/// sessions a customer has only under the customer's: so locks and reads take turns.
pub(super) async fn related(
    connection: &mut PgConnection,
    incoming: &[&CheckoutSession],
) -> Result<Sessions, ApplyError> {
    let ids: BTreeSet<&str> = incoming.iter().map(|session| session.id.as_str()).collect();
    lock(connection, Class::Session, ids.iter().copied()).await?;
    let named = read_by(connection, "id", ids.iter().copied()).await?;
    let found = named.values().map(|known| &known.session);
    let customers: BTreeSet<&str> = incoming
        .iter()
        .copied()
        .chain(found)
        .filter_map(|session| session.customer.as_deref())
        .collect();
    if customers.is_empty() {
        return Ok(named);
    }
    lock(connection, Class::Customer, customers.iter().copied()).await?;
    // Again by id as well: until now, another session of the customer could hand these to a user.
    let mut related = read_by(connection, "id", ids).await?;
    related.extend(read_by(connection, "customer", customers).await?);
    Ok(related)
}

/// Every stored session of these users.
pub(super) async fn of_users(
    connection: &mut PgConnection,
    users: &BTreeSet<UserId>,
) -> Result<Sessions, ApplyError> {
    read_by(connection, "user_id", users.iter().map(UserId::as_str)).await
}

async fn read_by<'v>(
    connection: &mut PgConnection,
    column: &'static str,
    values: impl IntoIterator<Item = &'v str>,
) -> Result<Sessions, ApplyError> {
    let sql = format!("SELECT * FROM checkout_sessions WHERE {column} = ANY($1)");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(values.into_iter().collect::<Vec<_>>())
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
pub(super) fn read_session(row: &PgRow) -> Result<Attributed, StoreError> {
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
    connection: &mut PgConnection,
    fold: &PaymentFold,
) -> Result<(), sqlx::Error> {
    let changed: Vec<&Attributed> = fold
        .changed
        .iter()
        .filter_map(|id| fold.session(id))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let sessions: Vec<&CheckoutSession> = column(&changed, |known| &known.session);
    let named = |session: &&CheckoutSession| session.named_user.clone();
    sqlx::query(
        "INSERT INTO checkout_sessions (id, user_id, named_user_id, named_at, customer, \
         payment_intent, subscription, mode, status, payment, amount_total, currency, livemode, \
         created_at, updated_at) \
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], \
         $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[], \
         $13::boolean[], $14::timestamptz[], $15::timestamptz[]) AS s(id) \
         ORDER BY s.id COLLATE \"C\" \
         ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, \
         named_user_id = excluded.named_user_id, named_at = excluded.named_at, \
         customer = excluded.customer, payment_intent = excluded.payment_intent, \
         subscription = excluded.subscription, mode = excluded.mode, \
         status = excluded.status, payment = excluded.payment, \
         amount_total = excluded.amount_total, currency = excluded.currency, \
         livemode = excluded.livemode, created_at = excluded.created_at, \
         updated_at = excluded.updated_at",
    )
    .bind(column(&sessions, |session| session.id.as_str()))
    .bind(column(&changed, |known| {
        known.user.as_ref().map(UserId::as_str)
    }))
    .bind(column(&sessions, |session| {
        named(session).map(|named| named.id.to_string())
    }))
    .bind(column(&sessions, |session| {
        named(session).map(|named| stored(named.at))
    }))
    .bind(column(&sessions, |session| session.customer.as_deref()))
    .bind(column(&sessions, |session| {
        session.payment_intent.as_deref()
    }))
    .bind(column(&sessions, |session| session.subscription.as_deref()))
    .bind(column(&sessions, |session| session.mode.as_deref()))
    .bind(column(&sessions, |session| session.status.as_str()))
    .bind(column(&sessions, |session| session.payment.as_str()))
    .bind(column(&sessions, |session| session.amount_total))
    .bind(column(&sessions, |session| session.currency.as_deref()))
    .bind(column(&sessions, |session| session.livemode))
    .bind(column(&sessions, |session| stored(session.created_at)))
    .bind(column(&sessions, |session| stored(session.updated_at)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the entitlements of the affected users; who has no facts any more has none.
pub(super) async fn write_entitlements(
    connection: &mut PgConnection,
    entitlements: &BTreeMap<&UserId, Option<Entitlement>>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let without: Vec<&str> = entitlements
        .iter()
        .filter(|(_, entitlement)| entitlement.is_none())
        .map(|(user, _)| user.as_str())
        .collect();
    if !without.is_empty() {
        sqlx::query("DELETE FROM entitlements WHERE user_id = ANY($1)")
            .bind(without)
            .execute(&mut *connection)
            .await?;
    }
    let entitled: Vec<(&str, &Entitlement)> = entitlements
        .iter()
        .filter_map(|(user, entitlement)| Some((user.as_str(), entitlement.as_ref()?)))
        .collect();
    if entitled.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO entitlements AS known (user_id, paid, payment, status, reason, \
         checkout_session_id, subscription_id, updated_at) \
         SELECT e.*, $8 FROM UNNEST($1::text[], $2::boolean[], $3::text[], $4::text[], $5::text[], \
         $6::text[], $7::text[]) AS e(user_id) ORDER BY e.user_id COLLATE \"C\" \
         ON CONFLICT (user_id) DO UPDATE SET paid = excluded.paid, \
         payment = excluded.payment, status = excluded.status, reason = excluded.reason, \
         checkout_session_id = excluded.checkout_session_id, \
         subscription_id = excluded.subscription_id, updated_at = excluded.updated_at \
         WHERE (known.paid, known.payment, known.status, known.reason, \
         known.checkout_session_id, known.subscription_id) \
         IS DISTINCT FROM (excluded.paid, excluded.payment, excluded.status, excluded.reason, \
         excluded.checkout_session_id, excluded.subscription_id)",
    )
    .bind(column(&entitled, |(user, _)| *user))
    .bind(column(&entitled, |(_, entitled)| entitled.paid))
    .bind(column(&entitled, |(_, entitled)| entitled.payment.as_str()))
    .bind(column(&entitled, |(_, entitled)| entitled.status.as_str()))
    .bind(column(&entitled, |(_, entitled)| entitled.reason.as_str()))
    .bind(column(&entitled, |(_, entitled)| {
        entitled.checkout_session_id.as_str()
    }))
    .bind(column(&entitled, |(_, entitled)| {
        entitled.subscription_id.as_deref()
    }))
    .bind(stored(now))
    .execute(connection)
    .await?;
    Ok(())
}
