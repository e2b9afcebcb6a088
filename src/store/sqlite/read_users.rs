//! Reading everything that is known of one user.

use sqlx::sqlite::SqliteRow;

use super::super::problem::unavailable;
use super::rows::Reader;
use super::{SqliteStore, StoreError, payments, read_outbox};
use crate::model::entitlement::purchase::purchases;
use crate::model::entitlement::{Entitlement, PaymentState, Rule};
use crate::model::ledger::{MirroredUser, UserReport};
use crate::model::source::SourceName;
use crate::model::user::UserId;

/// Everything known of one user; `None` if nothing is.
pub(super) async fn find(
    store: &SqliteStore,
    id: &UserId,
) -> Result<Option<UserReport>, StoreError> {
    let action = "read a user";
    let mut snapshot = store.readers.begin().await.map_err(unavailable(action))?;
    let user = sqlx::query(
        "SELECT external_id, email, email_verified, phone, username, first_name, last_name, \
         banned, locked, created_at, updated_at, revision, synced_at, source \
         FROM users WHERE id = ?",
    )
    .bind(id.as_str())
    .fetch_optional(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;
    let tombstone = sqlx::query("SELECT deleted_at FROM user_tombstones WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(&mut *snapshot)
        .await
        .map_err(unavailable(action))?;
    let entitlement = sqlx::query(
        "SELECT paid, payment, status, reason, checkout_session_id, subscription_id, rule \
         FROM entitlements WHERE user_id = ?",
    )
    .bind(id.as_str())
    .fetch_optional(&mut *snapshot)
    .await
    .map_err(unavailable(action))?;

    let (facts, customer_links) = payments::facts_of(&mut snapshot, id).await?;
    let report = UserReport {
        id: id.clone(),
        deleted_at: tombstone
            .map(|row| Reader::new("user_tombstones", id.as_str(), &row).time("deleted_at"))
            .transpose()?,
        user: user.map(|row| mirrored(id, &row)).transpose()?,
        purchases: purchases(&facts, store.policy),
        facts,
        customer_links,
        entitlement: entitlement
            .map(|row| read_entitlement(id, &row))
            .transpose()?,
        outbox: read_outbox::of_user(&store.readers, id).await?,
    };
    let known = report.deleted_at.is_some()
        || report.user.is_some()
        || report.outbox.is_some()
        || !report.purchases.is_empty();
    Ok(known.then_some(report))
}

fn mirrored(id: &UserId, row: &SqliteRow) -> Result<MirroredUser, StoreError> {
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
        source: reader.parse_optional("source", SourceName::parse)?,
    })
}

fn read_entitlement(id: &UserId, row: &SqliteRow) -> Result<Entitlement, StoreError> {
    let reader = Reader::new("entitlements", id.as_str(), row);
    Ok(Entitlement {
        paid: reader.get("paid")?,
        payment: reader.parse("payment", PaymentState::parse)?,
        status: reader.get("status")?,
        reason: reader.get("reason")?,
        checkout_session_id: reader.get("checkout_session_id")?,
        subscription_id: reader.get("subscription_id")?,
        rule: reader.parse_optional("rule", Rule::parse)?,
    })
}
