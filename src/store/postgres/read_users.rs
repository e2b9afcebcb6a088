//! Reading everything that is known of one user.

use sqlx::postgres::PgRow;

use super::super::problem::unavailable;
use super::payments::read_session;
use super::rows::Reader;
use super::{PostgresStore, StoreError, read_outbox};
use crate::model::entitlement::Entitlement;
use crate::model::ledger::{CheckoutSummary, MirroredUser, UserReport};
use crate::model::payment::{PaymentStatus, SessionStatus};
use crate::model::user::UserId;

/// Everything known of one user; `None` if nothing is.
pub(super) async fn find(
    store: &PostgresStore,
    id: &UserId,
) -> Result<Option<UserReport>, StoreError> {
    let action = "read a user";
    let mut snapshot = store.snapshot(action).await?;
    let user = sqlx::query(
        "SELECT external_id, email, email_verified, phone, username, first_name, last_name, \
         banned, locked, created_at, updated_at, revision, synced_at FROM users WHERE id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;
    let tombstone = sqlx::query("SELECT deleted_at FROM user_tombstones WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut *snapshot)
        .await
        .map_err(unavailable(action))?;
    let sessions =
        sqlx::query("SELECT * FROM checkout_sessions WHERE user_id = $1 ORDER BY created_at, id")
            .bind(id.as_str())
            .fetch_all(&mut *snapshot)
            .await
            .map_err(unavailable(action))?;
    let entitlement = sqlx::query(
        "SELECT paid, payment, status, reason, checkout_session_id, subscription_id \
         FROM entitlements WHERE user_id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;

    let report = UserReport {
        id: id.clone(),
        deleted_at: tombstone
            .map(|row| Reader::new("user_tombstones", id.as_str(), &row).time("deleted_at"))
            .transpose()?,
        user: user.map(|row| mirrored(id, &row)).transpose()?,
        checkout_sessions: sessions.iter().map(checkout).collect::<Result<_, _>>()?,
        entitlement: entitlement
            .map(|row| read_entitlement(id, &row))
            .transpose()?,
        outbox: read_outbox::of_user(&mut snapshot, id).await?,
    };
    let known = report.deleted_at.is_some()
        || report.user.is_some()
        || report.outbox.is_some()
        || !report.checkout_sessions.is_empty();
    Ok(known.then_some(report))
}

fn mirrored(id: &UserId, row: &PgRow) -> Result<MirroredUser, StoreError> {
    let reader = Reader::new("users", id.as_str(), row);
    Ok(MirroredUser {
        external_id: reader.get("external_id")?,
        email: reader.get("email")?,
        email_verified: reader.get("email_verified")?,
        phone: reader.get("phone")?,
        username: reader.get("username")?,
        first_name: reader.get("first_name")?,
        last_name: reader.get("last_name")?,
        banned: reader.get("banned")?,
        locked: reader.get("locked")?,
        created_at: reader.optional_time("created_at")?,
        updated_at: reader.time("updated_at")?,
        revision: reader.get("revision")?,
        synced_at: reader.time("synced_at")?,
    })
}

fn checkout(row: &PgRow) -> Result<CheckoutSummary, StoreError> {
    let session = read_session(row)?.session;
    Ok(CheckoutSummary {
        id: session.id,
        customer: session.customer,
        status: session.status,
        payment: session.payment,
        amount_total: session.amount_total,
        currency: session.currency,
        created_at: session.created_at,
    })
}

fn read_entitlement(id: &UserId, row: &PgRow) -> Result<Entitlement, StoreError> {
    let reader = Reader::new("entitlements", id.as_str(), row);
    Ok(Entitlement {
        paid: reader.get("paid")?,
        payment: reader.parse("payment", PaymentStatus::parse)?,
        status: reader.parse("status", SessionStatus::parse)?,
        reason: reader.get("reason")?,
        checkout_session_id: reader.get("checkout_session_id")?,
        subscription_id: reader.get("subscription_id")?,
    })
}
