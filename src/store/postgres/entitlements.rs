//! `entitlements`.

use sqlx::PgConnection;

use super::super::tables::Entitlements;
use super::rows::{column, stored};
use crate::model::entitlement::{Entitlement, Rule};
use crate::model::time::Timestamp;

/// Writes the entitlements of the affected users; who has no facts any more has none.
pub(super) async fn write(
    connection: &mut PgConnection,
    entitlements: &Entitlements<'_>,
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
         checkout_session_id, subscription_id, rule, updated_at) \
         SELECT e.*, $9 FROM UNNEST($1::text[], $2::boolean[], $3::text[], $4::text[], $5::text[], \
         $6::text[], $7::text[], $8::text[]) AS e(user_id) ORDER BY e.user_id COLLATE \"C\" \
         ON CONFLICT (user_id) DO UPDATE SET paid = excluded.paid, \
         payment = excluded.payment, status = excluded.status, reason = excluded.reason, \
         checkout_session_id = excluded.checkout_session_id, \
         subscription_id = excluded.subscription_id, rule = excluded.rule, \
         updated_at = excluded.updated_at \
         WHERE (known.paid, known.payment, known.status, known.reason, \
         known.checkout_session_id, known.subscription_id, known.rule) \
         IS DISTINCT FROM (excluded.paid, excluded.payment, excluded.status, excluded.reason, \
         excluded.checkout_session_id, excluded.subscription_id, excluded.rule)",
    )
    .bind(column(&entitled, |(user, _)| *user))
    .bind(column(&entitled, |(_, entitled)| entitled.paid))
    .bind(column(&entitled, |(_, entitled)| entitled.payment.as_str()))
    .bind(column(&entitled, |(_, entitled)| entitled.status.as_str()))
    .bind(column(&entitled, |(_, entitled)| entitled.reason.as_str()))
    .bind(column(&entitled, |(_, entitled)| {
        entitled.checkout_session_id.as_deref()
    }))
    .bind(column(&entitled, |(_, entitled)| {
        entitled.subscription_id.as_deref()
    }))
    .bind(column(&entitled, |(_, entitled)| {
        entitled.rule.map(Rule::as_str)
    }))
    .bind(stored(now))
    .execute(connection)
    .await?;
    Ok(())
}
