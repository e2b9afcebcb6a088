//! `entitlements`.

use sqlx::SqliteConnection;

use super::super::tables::Entitlements;
use crate::model::entitlement::Rule;
use crate::model::time::Timestamp;

/// Writes the entitlements of the affected users; who has no facts any more has none.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    entitlements: &Entitlements<'_>,
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
             checkout_session_id, subscription_id, rule, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (user_id) DO UPDATE SET paid = excluded.paid, \
             payment = excluded.payment, status = excluded.status, reason = excluded.reason, \
             checkout_session_id = excluded.checkout_session_id, \
             subscription_id = excluded.subscription_id, rule = excluded.rule, \
             updated_at = excluded.updated_at \
             WHERE (paid, payment, status, reason, checkout_session_id, subscription_id, rule) \
             IS NOT (excluded.paid, excluded.payment, excluded.status, excluded.reason, \
             excluded.checkout_session_id, excluded.subscription_id, excluded.rule)",
        )
        .bind(user.as_str())
        .bind(entitlement.paid)
        .bind(entitlement.payment.as_str())
        .bind(entitlement.status.as_str())
        .bind(entitlement.reason.as_str())
        .bind(entitlement.checkout_session_id.as_deref())
        .bind(entitlement.subscription_id.as_deref())
        .bind(entitlement.rule.map(Rule::as_str))
        .bind(now.as_str())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
