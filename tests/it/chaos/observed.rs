//! What is there, read with SQL and at Clerk.

use std::collections::BTreeMap;

use hookmirror::model::user::UserId;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::history::Reference;
use super::story::Entitled;
use super::world::World;

/// The columns of facts that are compared; `-` stands for nothing.
const FACTS: [(&str, &str); 6] = [
    ("checkout_sessions", "id user_id status payment"),
    ("subscriptions", "id user_id status"),
    ("charges", "id amount amount_refunded"),
    ("refunds", "id amount status"),
    ("disputes", "id status"),
    ("customers", "id named_user_id"),
];

/// A row of the ledger.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) key: String,
    pub(super) state: String,
    pub(super) attempts: i64,
    pub(super) deliveries: i64,
}

/// Lists, not maps: what is there twice is to be seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    pub(super) ledger: Vec<Recorded>,
    /// Id, and first name with revision.
    pub(super) users: Vec<(String, (String, String))>,
    pub(super) tombstones: Vec<String>,
    pub(super) entitlements: Vec<(String, Entitled)>,
    pub(super) facts: Vec<String>,
    /// Everybody's `public_metadata`.
    pub(super) at_clerk: BTreeMap<String, Value>,
    /// How many entries are in each state.
    pub(super) outbox: BTreeMap<String, i64>,
    /// What `events stats --json` says.
    pub(super) stats: Value,
    /// From being received to being applied, in milliseconds, without those who had to wait for an
    /// event that came later.
    pub(super) lags: Vec<u32>,
    /// The longest time in which nothing was applied.
    pub(super) apply_stall_ms: u32,
    /// What no fault is a reason for.
    pub(super) crashes: Vec<String>,
}

impl Observed {
    pub(super) async fn of(world: &World, reference: &Reference) -> Self {
        let mut database = PgConnection::connect(&world.database).await.unwrap();
        let mut rows = async |sql: &str| {
            let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
            query.fetch_all(&mut database).await.unwrap()
        };
        let ledger = rows(
            "SELECT source || '/' || event_id AS key, state, attempts, deliveries FROM events",
        )
        .await;
        let users = rows("SELECT id, COALESCE(first_name, '-') AS name, revision FROM users").await;
        let tombstones = rows("SELECT id FROM user_tombstones").await;
        let entitlements = rows(
            "SELECT user_id, paid, payment, status, COALESCE(rule, '-') AS rule FROM entitlements",
        )
        .await;
        let facts = rows(&select_facts()).await;
        let outbox = rows("SELECT state, COUNT(*) AS entries FROM outbox GROUP BY state").await;
        let lags = rows(
            "SELECT LEAST(EXTRACT(EPOCH FROM applied_at - received_at) * 1000, 1e9)::bigint AS ms \
             FROM events WHERE state = 'applied' AND outcome <> 'payment_recorded' \
             OR state = 'applied' AND source = 'clerk'",
        )
        .await;
        let stall = rows(
            "SELECT COALESCE(MAX(EXTRACT(EPOCH FROM gap) * 1000), 0)::bigint AS ms FROM \
             (SELECT applied_at - LAG(applied_at) OVER (ORDER BY applied_at) AS gap FROM events \
             WHERE applied_at IS NOT NULL) AS gaps",
        )
        .await;
        let everybody = reference.users.keys().chain(&reference.deleted);
        let metadata = |user: &String| world.clerk.metadata(&UserId::parse(user).unwrap());
        Self {
            ledger: ledger
                .iter()
                .map(|row| Recorded {
                    key: row.get("key"),
                    state: row.get("state"),
                    attempts: row.get("attempts"),
                    deliveries: row.get("deliveries"),
                })
                .collect(),
            users: users
                .iter()
                .map(|row| (row.get("id"), (row.get("name"), row.get("revision"))))
                .collect(),
            tombstones: tombstones.iter().map(|row| row.get("id")).collect(),
            entitlements: entitlements
                .iter()
                .map(|row| (row.get("user_id"), entitled(row)))
                .collect(),
            facts: facts.iter().map(|row| row.get("line")).collect(),
            at_clerk: everybody
                .map(|user| (user.clone(), metadata(user)))
                .collect(),
            outbox: outbox
                .iter()
                .map(|row| (row.get("state"), row.get("entries")))
                .collect(),
            stats: world.home.json(["events", "stats", "--json"]),
            lags: lags.iter().map(milliseconds).collect(),
            apply_stall_ms: milliseconds(&stall[0]),
            crashes: world
                .processes
                .iter()
                .flat_map(|process| process.crashes())
                .collect(),
        }
    }
}

fn milliseconds(row: &PgRow) -> u32 {
    u32::try_from(row.get::<i64, _>("ms").max(0)).unwrap_or(u32::MAX)
}

fn entitled(row: &PgRow) -> Entitled {
    Entitled {
        paid: row.get("paid"),
        payment: row.get("payment"),
        status: row.get("status"),
        rule: row.get("rule"),
    }
}

/// All facts, each row as one line.
fn select_facts() -> String {
    let selects = FACTS.map(|(table, columns)| {
        let columns: Vec<String> = columns
            .split(' ')
            .map(|column| format!("COALESCE({column}::text, '-')"))
            .collect();
        let line = columns.join(" || ' ' || ");
        format!("SELECT '{table} ' || {line} AS line FROM {table}")
    });
    selects.join(" UNION ALL ")
}

/// What changes as long as something moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    pub(super) recorded: i64,
    deliveries: i64,
    pub(super) to_be_delivered: i64,
    pub(super) queued: i64,
    under_way: usize,
}

impl Progress {
    pub(super) async fn of(world: &World, under_way: usize) -> Self {
        let mut database = PgConnection::connect(&world.database).await.unwrap();
        let row = sqlx::query(
            "SELECT COUNT(*) AS recorded, COALESCE(SUM(deliveries), 0)::bigint AS deliveries, \
             (SELECT COUNT(*) FROM outbox WHERE state = 'pending') AS pending FROM events",
        )
        .fetch_one(&mut database)
        .await
        .unwrap();
        let stats = world.home.json(["events", "stats", "--json"]);
        Self {
            recorded: row.get("recorded"),
            deliveries: row.get("deliveries"),
            to_be_delivered: row.get("pending"),
            queued: stats["queue"]["messages"].as_i64().unwrap(),
            under_way,
        }
    }
}
