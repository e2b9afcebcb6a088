//! The tables of a case: emptied, and read with SQL, as the application's team does.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::reference::{Entitled, Mirror};

const TABLES: [&str; 21] = [
    "replay_events",
    "replays",
    "users",
    "user_tombstones",
    "event_attempts",
    "events",
    "checkout_sessions",
    "subscriptions",
    "invoices",
    "charges",
    "refunds",
    "disputes",
    "customers",
    "entitlements",
    "outbox",
    "outbox_attempts",
    "failures",
    "source_pauses",
    "erased_subjects",
    "operator_actions",
    // Where numbers begin anew.
    "sqlite_sequence",
];

/// The columns of facts that are compared: all that events tell.
const FACTS: [(&str, &str); 7] = [
    (
        "checkout_sessions",
        "id user_id named_user_id named_at customer payment_intent subscription mode status \
         payment amount_total currency created_at updated_at",
    ),
    (
        "subscriptions",
        "id user_id named_user_id named_at customer status cancel_at_period_end cancel_at \
         current_period_end created_at updated_at",
    ),
    (
        "invoices",
        "id subscription payment_intent billing_reason status amount_paid created_at updated_at",
    ),
    (
        "charges",
        "id payment_intent amount amount_refunded created_at updated_at",
    ),
    (
        "refunds",
        "id payment_intent charge amount currency status created_at updated_at",
    ),
    ("disputes", "id payment_intent status created_at updated_at"),
    ("customers", "id named_user_id named_at"),
];

/// All facts, each row as one line; `-` stands for nothing.
fn select_facts() -> String {
    let selects = FACTS.map(|(table, columns)| {
        let columns: Vec<String> = columns
            .split_whitespace()
            .map(|column| format!("ifnull({column}, '-')"))
            .collect();
        let line = columns.join(" || ' ' || ");
        format!("SELECT {line} AS line FROM {table}")
    });
    selects.join(" UNION ALL ")
}

/// Empties all tables.
pub(crate) async fn clear(connection: &mut SqliteConnection) {
    let deletions = TABLES.map(|table| format!("DELETE FROM {table};"));
    let sql = format!("BEGIN IMMEDIATE; {} COMMIT;", deletions.concat());
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

/// All that is there, but for what is at Clerk.
pub(crate) async fn read(connection: &mut SqliteConnection) -> Mirror {
    let mut mirror = Mirror::default();
    for row in sqlx::query("SELECT id, first_name, revision, paid FROM members")
        .fetch_all(&mut *connection)
        .await
        .unwrap()
    {
        let id: String = row.get("id");
        mirror.members.insert(id.clone(), row.get("paid"));
        mirror
            .users
            .insert(id, (row.get("first_name"), row.get("revision")));
    }
    for row in sqlx::query(
        "SELECT user_id, paid, payment, status, ifnull(rule, '-') AS rule, \
             ifnull(checkout_session_id, '-') AS session, \
             ifnull(subscription_id, '-') AS subscription FROM entitlements",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap()
    {
        let entitlement = Entitled {
            paid: row.get("paid"),
            payment: row.get("payment"),
            status: row.get("status"),
            rule: row.get("rule"),
            session: row.get("session"),
            subscription: row.get("subscription"),
        };
        mirror.entitlements.insert(row.get("user_id"), entitlement);
    }
    mirror.facts = sqlx::query_scalar(AssertSqlSafe(select_facts()))
        .fetch_all(&mut *connection)
        .await
        .unwrap()
        .into_iter()
        .collect();
    mirror.states = sqlx::query("SELECT event_id, state FROM events")
        .fetch_all(&mut *connection)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.get("event_id"), row.get("state")))
        .collect::<BTreeMap<String, String>>();
    mirror
}
