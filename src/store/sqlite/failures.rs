//! Failures in groups.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::failures::Failures;
use super::super::fold::failures::FailureFold;
use super::super::problem::unavailable;
use super::operators::{action_record, record};
use super::rows::{Reader, json_list};
use super::{SqliteStore, StoreError};
use crate::model::event::{EventId, EventKey, EventType};
use crate::model::failure::{Decided, FailureChange, FailureGroup, GroupState};
use crate::model::operator::{ActionRecord, Operator, OperatorAction};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

const GROUPS: &str = "SELECT fingerprint, kind, event_type, first_seen, last_seen, occurrences, \
     source, event_id, last_error, state, state_at, state_by, state_reason, reopened_at, \
     (SELECT COUNT(*) FROM events AS e INDEXED BY events_by_fingerprint \
         WHERE e.fingerprint = f.fingerprint AND e.state = 'failed') AS failed, \
     (SELECT COUNT(*) FROM events AS e INDEXED BY events_by_fingerprint \
         WHERE e.fingerprint = f.fingerprint AND e.state IN ('retrying', 'queued')) AS retrying \
     FROM failures AS f WHERE TRUE";
const ORDER: &str = " ORDER BY failed + retrying DESC, last_seen DESC, fingerprint";

#[async_trait]
impl Failures for SqliteStore {
    async fn list_failures(
        &self,
        states: &[GroupState],
        limit: u32,
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let mut query = QueryBuilder::new(GROUPS);
        if !states.is_empty() {
            push_states(&mut query, states);
        }
        query.push(ORDER).push(" LIMIT ").push_bind(limit);
        self.read_groups(query).await
    }

    async fn find_failures(
        &self,
        fingerprints: &[String],
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let mut query = QueryBuilder::new(GROUPS);
        push_fingerprints(&mut query, fingerprints);
        query.push(ORDER);
        self.read_groups(query).await
    }

    async fn change_failures(
        &self,
        change: FailureChange,
        fingerprints: &[String],
        action: &OperatorAction,
        now: Timestamp,
    ) -> Result<ActionRecord, StoreError> {
        const DOING: &str = "change groups of failures";
        let mut transaction = self.begin(DOING).await?;
        let done = async {
            let mut count = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM failures WHERE TRUE");
            push_fingerprints(&mut count, fingerprints);
            push_states(&mut count, change.from());
            let matched: i64 = count
                .build_query_scalar()
                .fetch_one(&mut *transaction)
                .await?;
            let mut changed = 0;
            if let Some(reason) = action.mode.reason() {
                changed = matched;
                let mut update = QueryBuilder::<Sqlite>::new("UPDATE failures SET state = ");
                update
                    .push_bind(change.to().as_str())
                    .push(", state_at = ")
                    .push_bind(now.to_string())
                    .push(", state_by = ")
                    .push_bind(action.operator.as_str())
                    .push(", state_reason = ")
                    .push_bind(reason.as_str())
                    .push(" WHERE TRUE");
                push_fingerprints(&mut update, fingerprints);
                push_states(&mut update, change.from());
                update.build().execute(&mut *transaction).await?;
            }
            let row = record(&mut transaction, action, matched, changed, now).await?;
            transaction.commit().await?;
            Ok(row)
        };
        let row = done.await.map_err(unavailable(DOING))?;
        action_record(&row)
    }
}

impl SqliteStore {
    async fn read_groups(
        &self,
        mut query: QueryBuilder<Sqlite>,
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let rows = query
            .build()
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable("list failures"))?;
        rows.iter().map(group).collect()
    }
}

fn push_states(query: &mut QueryBuilder<Sqlite>, states: &[GroupState]) {
    query
        .push(" AND state IN (SELECT value FROM json_each(")
        .push_bind(json_list(states.iter().map(|state| state.as_str())))
        .push("))");
}

fn push_fingerprints(query: &mut QueryBuilder<Sqlite>, fingerprints: &[String]) {
    query
        .push(" AND fingerprint IN (SELECT value FROM json_each(")
        .push_bind(json_list(fingerprints.iter().map(String::as_str)))
        .push("))");
}

fn group(row: &SqliteRow) -> Result<FailureGroup, StoreError> {
    let fingerprint: &str = row.try_get("fingerprint").unwrap_or_default();
    let reader = Reader::new("failures", fingerprint, row);
    let decided = match reader.optional_time("state_at")? {
        None => None,
        Some(at) => Some(Decided {
            at,
            by: reader.parse("state_by", Operator::parse)?,
            reason: reader.get("state_reason")?,
        }),
    };
    Ok(FailureGroup {
        fingerprint: fingerprint.to_owned(),
        state: reader.parse("state", GroupState::parse)?,
        kind: reader.get("kind")?,
        event_type: reader.parse("event_type", EventType::parse)?,
        failed: reader.count("failed")?,
        retrying: reader.count("retrying")?,
        occurrences: reader.count("occurrences")?,
        first_seen: reader.time("first_seen")?,
        last_seen: reader.time("last_seen")?,
        example: EventKey {
            source: reader.parse("source", SourceName::parse)?,
            id: reader.parse("event_id", EventId::parse)?,
        },
        last_error: reader.get("last_error")?,
        decided,
        reopened_at: reader.optional_time("reopened_at")?,
    })
}

/// Counts failed attempts in their groups. What was resolved is open again.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    fold: &FailureFold,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let now = now.to_string();
    let rows: Vec<_> = fold.rows().collect();
    // Each row has nine values: SQLite takes 32,766 in one statement.
    for rows in rows.chunks(1000) {
        QueryBuilder::<Sqlite>::new(
            "INSERT INTO failures (fingerprint, kind, event_type, first_seen, last_seen, \
             occurrences, source, event_id, last_error, state) ",
        )
        .push_values(rows, |mut row, (fingerprint, failing)| {
            row.push_bind(*fingerprint)
                .push_bind(failing.kind)
                .push_bind(failing.event_type.as_str())
                .push_bind(now.clone())
                .push_bind(now.clone())
                .push_bind(failing.occurrences)
                .push_bind(failing.example.source.as_str())
                .push_bind(failing.example.id.as_str())
                .push_bind(failing.error.as_str())
                .push("'open'");
        })
        .push(
            " ON CONFLICT (fingerprint) DO UPDATE SET \
             last_seen = MAX(failures.last_seen, excluded.last_seen), \
             occurrences = failures.occurrences + excluded.occurrences, \
             source = excluded.source, event_id = excluded.event_id, \
             last_error = excluded.last_error, \
             state = CASE failures.state WHEN 'resolved' THEN 'open' ELSE failures.state END, \
             reopened_at = CASE failures.state WHEN 'resolved' THEN excluded.last_seen \
             ELSE failures.reopened_at END",
        )
        .build()
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
