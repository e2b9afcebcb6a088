//! Failures in groups.
//!
//! Many workers fail in the same way at once. Each writes its groups as the last thing of a batch, in
//! the order of their fingerprints, so that none waits for another that waits for it.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};

use super::super::failures::Failures;
use super::super::fold::failures::FailureFold;
use super::super::problem::unavailable;
use super::operators::{action_record, record};
use super::rows::{Reader, column, stored};
use super::{PostgresStore, StoreError, bounded};
use crate::model::event::{EventId, EventKey, EventType};
use crate::model::failure::{Decided, FailureChange, FailureGroup, GroupState};
use crate::model::operator::{ActionRecord, Operator, OperatorAction};
use crate::model::source::SourceName;
use crate::model::time::Timestamp;

const GROUPS: &str = "SELECT f.fingerprint, f.kind, f.event_type, f.first_seen, f.last_seen, \
     f.occurrences, f.source, f.event_id, f.last_error, f.state, f.state_at, f.state_by, \
     f.state_reason, f.reopened_at, now.failed, now.retrying \
     FROM failures AS f CROSS JOIN LATERAL ( \
         SELECT COUNT(*) FILTER (WHERE e.state = 'failed') AS failed, \
         COUNT(*) FILTER (WHERE e.state IN ('retrying', 'queued')) AS retrying \
         FROM events AS e WHERE e.fingerprint = f.fingerprint) AS now WHERE TRUE";
const ORDER: &str = " ORDER BY now.failed + now.retrying DESC, f.last_seen DESC, f.fingerprint";

#[async_trait]
impl Failures for PostgresStore {
    async fn list_failures(
        &self,
        states: &[GroupState],
        limit: u32,
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let mut query = QueryBuilder::new(GROUPS);
        if !states.is_empty() {
            query
                .push(" AND f.state = ANY(")
                .push_bind(column(states, |state| state.as_str()))
                .push(")");
        }
        query
            .push(ORDER)
            .push(" LIMIT ")
            .push_bind(i64::from(limit));
        self.read_groups(query).await
    }

    async fn find_failures(
        &self,
        fingerprints: &[String],
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let mut query = QueryBuilder::new(GROUPS);
        query
            .push(" AND f.fingerprint = ANY(")
            .push_bind(fingerprints)
            .push(")")
            .push(ORDER);
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
        bounded(DOING, async {
            let mut transaction = self.begin(DOING).await?;
            let done = async {
                let found: Vec<String> = sqlx::query_scalar(
                    "SELECT fingerprint FROM failures \
                     WHERE fingerprint = ANY($1) AND state = ANY($2) \
                     ORDER BY fingerprint FOR UPDATE",
                )
                .bind(fingerprints)
                .bind(column(change.from(), |state| state.as_str()))
                .fetch_all(&mut *transaction)
                .await?;
                let matched = i64::try_from(found.len()).unwrap_or(i64::MAX);
                let mut changed = 0;
                if let Some(reason) = action.mode.reason() {
                    changed = matched;
                    sqlx::query(
                        "UPDATE failures SET state = $1, state_at = $2, state_by = $3, \
                         state_reason = $4 WHERE fingerprint = ANY($5)",
                    )
                    .bind(change.to().as_str())
                    .bind(stored(now))
                    .bind(action.operator.as_str())
                    .bind(reason.as_str())
                    .bind(found)
                    .execute(&mut *transaction)
                    .await?;
                }
                let row = record(&mut transaction, action, matched, changed, now).await?;
                transaction.commit().await?;
                Ok(row)
            };
            let row = done.await.map_err(unavailable(DOING))?;
            action_record(&row)
        })
        .await
    }
}

impl PostgresStore {
    async fn read_groups(
        &self,
        mut query: QueryBuilder<Postgres>,
    ) -> Result<Vec<FailureGroup>, StoreError> {
        let action = "list failures";
        bounded(action, async {
            let mut connection = self.acquire(action).await?;
            let rows = query
                .build()
                .fetch_all(&mut *connection)
                .await
                .map_err(unavailable(action))?;
            rows.iter().map(group).collect()
        })
        .await
    }
}

fn group(row: &PgRow) -> Result<FailureGroup, StoreError> {
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
    connection: &mut PgConnection,
    fold: &FailureFold,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = fold.rows().collect();
    sqlx::query(
        "INSERT INTO failures (fingerprint, kind, event_type, first_seen, last_seen, occurrences, \
         source, event_id, last_error, state) \
         SELECT f.fingerprint, f.kind, f.event_type, $8, $8, f.occurrences, f.source, f.event_id, \
         f.last_error, 'open' \
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], \
         $7::text[]) \
         AS f(fingerprint, kind, event_type, occurrences, source, event_id, last_error) \
         ORDER BY f.fingerprint COLLATE \"C\" \
         ON CONFLICT (fingerprint) DO UPDATE SET \
         last_seen = GREATEST(failures.last_seen, excluded.last_seen), \
         occurrences = failures.occurrences + excluded.occurrences, \
         source = excluded.source, event_id = excluded.event_id, \
         last_error = excluded.last_error, \
         state = CASE failures.state WHEN 'resolved' THEN 'open' ELSE failures.state END, \
         reopened_at = CASE failures.state WHEN 'resolved' THEN excluded.last_seen \
         ELSE failures.reopened_at END",
    )
    .bind(column(&rows, |(fingerprint, _)| *fingerprint))
    .bind(column(&rows, |(_, failing)| failing.kind))
    .bind(column(&rows, |(_, failing)| failing.event_type.as_str()))
    .bind(column(&rows, |(_, failing)| failing.occurrences))
    .bind(column(&rows, |(_, failing)| {
        failing.example.source.as_str()
    }))
    .bind(column(&rows, |(_, failing)| failing.example.id.as_str()))
    // A NUL, should one get there, must not keep the failure from being counted.
    .bind(column(&rows, |(_, failing)| {
        failing.error.replace('\0', "\u{fffd}")
    }))
    .bind(stored(now))
    .execute(connection)
    .await?;
    Ok(())
}
