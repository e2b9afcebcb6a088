//! A ledger as it might be after 90 days: the same each time, and of the same shape on each engine.
//!
//! 96 % applied, 3 % ignored, 0.5 % failed; sources, types and subjects are skewed as they are in life.

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// The newest event. Half of the types below are rare, by how the number of one is drawn.
pub(crate) const NEWEST: i64 = 1_795_000_000;
const DAYS: i64 = 90;

const TYPES: [(&str, &str); 20] = [
    ("customer.subscription.updated", "user.updated"),
    ("invoice.paid", "session.created"),
    ("charge.succeeded", "session.ended"),
    ("checkout.session.completed", "user.created"),
    ("payment_intent.succeeded", "session.removed"),
    ("invoice.finalized", "email.created"),
    ("customer.updated", "organization.updated"),
    ("customer.created", "organizationMembership.created"),
    ("invoice.created", "user.deleted"),
    ("invoice.payment_failed", "organization.created"),
    ("customer.subscription.created", "sms.created"),
    ("checkout.session.expired", "organizationInvitation.created"),
    ("refund.created", "organizationMembership.updated"),
    ("charge.refunded", "session.pending"),
    ("customer.subscription.deleted", "organization.deleted"),
    ("refund.updated", "role.created"),
    ("charge.dispute.created", "role.updated"),
    ("charge.dispute.closed", "permission.created"),
    ("payout.paid", "waitlistEntry.created"),
    ("balance.available", "permission.updated"),
];

/// What differs between the engines.
struct Dialect {
    numbers: &'static str,
    time: &'static str,
    bytes: &'static str,
}

const SQLITE: Dialect = Dialect {
    numbers: "numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})",
    time: "strftime('%Y-%m-%dT%H:%M:%fZ', {seconds}, 'unixepoch')",
    bytes: "CAST({text} AS BLOB)",
};

const POSTGRES: Dialect = Dialect {
    numbers: "numbers(n) AS (SELECT n::bigint FROM generate_series(1, {rows}) AS n)",
    time: "to_timestamp({seconds})",
    bytes: "convert_to({text}, 'UTF8')",
};

/// The statement that writes the ledger. `failed` in a thousand events fail.
fn ledger(dialect: &Dialect, rows: u64, failed: u64, payload: usize) -> String {
    let types: Vec<String> = TYPES
        .iter()
        .enumerate()
        .map(|(place, (stripe, clerk))| format!("({place}, '{stripe}', '{clerk}')"))
        .collect();
    let seconds = format!("{NEWEST} - ({rows} - n) * {DAYS} * 86400.0 / {rows}");
    let received = dialect.time.replace("{seconds}", &seconds);
    let filler = "0123456789abcdef".repeat(payload / 16 + 1);
    let text = format!("'{{\"id\":\"' || n || '\",\"filler\":\"{filler}\"}}'");
    let bytes = dialect.bytes.replace("{text}", &text);
    let numbers = dialect.numbers.replace("{rows}", &rows.to_string());
    let failed = 990_000 - failed * 1000;
    // Multiplied and taken modulo a prime, numbers are scattered, and each comes once.
    format!(
        "WITH RECURSIVE {numbers}, \
         types(place, stripe, clerk) AS (VALUES {}), \
         drawn AS (SELECT n, n * 48271 % 1000003 AS a, n * 69621 % 1000003 AS b, \
             n * 16807 % 1000003 AS c, n * 31337 % 200000 AS d FROM numbers), \
         rows AS (SELECT n, a, d, b < 700000 OR b BETWEEN 995000 AND 998999 AS is_stripe, \
             CASE WHEN b < 700000 THEN 'stripe' WHEN b < 995000 THEN 'clerk' \
                 WHEN b < 999000 THEN 'stripe-eu' ELSE 'clerk-test' END AS source, \
             CASE WHEN a < {failed} THEN 'applied' WHEN a < 990000 THEN 'failed' \
                 WHEN a < 997000 THEN 'applied' WHEN a < 998000 THEN 'waiting' \
                 WHEN a < 998500 THEN 'retrying' WHEN a < 999000 THEN 'discarded' \
                 ELSE 'applied' END AS state, \
             c * c / 1000003 * c / 1000003 * 20 / 1000004 AS place FROM drawn), \
         kinds AS (SELECT r.*, CASE WHEN r.state = 'applied' AND r.n % 32 = 7 THEN 'ignored' \
             ELSE r.state END AS now, \
             CASE WHEN r.is_stripe THEN t.stripe ELSE t.clerk END AS event_type \
             FROM rows AS r JOIN types AS t ON t.place = r.place) \
         INSERT INTO events (source, event_id, event_type, subject, state, outcome, deliveries, \
             attempts, last_error, fingerprint, received_at, applied_at, next_attempt_at, payload) \
         SELECT source, 'evt_' || n, event_type, \
             CASE WHEN is_stripe THEN 'cus_' || d ELSE 'user_' || d END, now, \
             CASE now WHEN 'applied' THEN 'user_mirrored' WHEN 'ignored' THEN 'type_not_handled' \
                 WHEN 'waiting' THEN 'payment_unattributed' ELSE 'payload_invalid' END, \
             1, 1, \
             CASE WHEN now IN ('failed', 'retrying', 'discarded') \
                 THEN 'the payload cannot be used: `data.field_' || place || '` is missing' END, \
             CASE WHEN now IN ('failed', 'retrying', 'discarded') THEN 'fingerprint_' || place END, \
             {received}, CASE now WHEN 'applied' THEN {received} END, \
             CASE now WHEN 'retrying' THEN {received} END, \
             CASE WHEN n % 100 = 0 THEN NULL ELSE {bytes} END \
         FROM kinds",
        types.join(", ")
    )
}

/// The groups that belong to it.
const GROUPS: &str = "INSERT INTO failures (fingerprint, kind, event_type, first_seen, last_seen, \
         occurrences, source, event_id, last_error, state) \
     SELECT fingerprint, 'payload_invalid', MIN(event_type), MIN(received_at), MAX(received_at), \
         COUNT(*), MIN(source), MIN(event_id), MIN(last_error), 'open' \
     FROM events WHERE fingerprint IS NOT NULL GROUP BY fingerprint";

pub(crate) async fn fill_sqlite(
    connection: &mut SqliteConnection,
    rows: u64,
    failed: u64,
    payload: usize,
) -> Result<(), sqlx::Error> {
    // `WITH … INSERT` is one statement in both engines.
    let ledger = ledger(&SQLITE, rows, failed, payload);
    sqlx::raw_sql(AssertSqlSafe(ledger))
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql(GROUPS).execute(&mut *connection).await?;
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn fill_postgres(
    url: &str,
    rows: u64,
    failed: u64,
    payload: usize,
) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let ledger = ledger(&POSTGRES, rows, failed, payload);
    for statement in [
        ledger.as_str(),
        GROUPS,
        "VACUUM ANALYZE events",
        "CHECKPOINT",
    ] {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    connection.close().await
}
