//! Finding events, and counting them.
//!
//! Where the planner could take a walk through the whole ledger for the shorter way, a `LATERAL` with a
//! limit of its own, or `OFFSET 0`, keeps it from that.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};

use super::super::findings::{Findings, Way, narrowed};
use super::super::problem::unavailable;
use super::read_ledger::{SUMMARY, summary};
use super::rows::{Reader, stored};
use super::{PostgresStore, StoreError, bounded, filter, timeline};
use crate::model::event::EventType;
use crate::model::ledger::{EventFilter, EventSummary, Position};
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::survey::{KindCount, KindSurvey, Survey};
use crate::model::timeline::Timeline;

/// All kinds that there are: from one to the next, past all events in between.
const KINDS: &str = "WITH RECURSIVE kinds AS ( \
     (SELECT state, source, event_type FROM events ORDER BY state, source, event_type LIMIT 1) \
     UNION ALL \
     SELECT next.state, next.source, next.event_type FROM kinds AS k CROSS JOIN LATERAL ( \
         SELECT e.state, e.source, e.event_type FROM events AS e \
         WHERE (e.state, e.source, e.event_type) > (k.state, k.source, k.event_type) \
         ORDER BY e.state, e.source, e.event_type LIMIT 1) AS next) ";
const OF_KIND: &str = " state = of_state AND source = of_source AND event_type = of_type ";
const ORDER: &str = " ORDER BY received_at DESC, source, event_id LIMIT ";

#[async_trait]
impl Findings for PostgresStore {
    async fn page_events(
        &self,
        filter: &EventFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<EventSummary>, StoreError> {
        let action = "list events";
        bounded(action, async {
            let mut connection = self.acquire(action).await?;
            let rows = page("", filter, after, limit)
                .build()
                .fetch_all(&mut *connection)
                .await
                .map_err(unavailable(action))?;
            rows.iter().map(summary).collect()
        })
        .await
    }

    async fn survey(&self, filter: &EventFilter) -> Result<Survey, StoreError> {
        let action = "count events";
        bounded(action, async {
            let mut snapshot = self.snapshot(action).await?;
            let rows = survey("", filter)
                .build()
                .fetch_all(&mut *snapshot)
                .await
                .map_err(unavailable(action))?;
            let kinds: Result<Vec<KindSurvey>, StoreError> = rows.iter().map(read_kind).collect();
            let mut survey = Survey::of(kinds?);
            if survey.counts_subjects() {
                let subjects = count_subjects(&mut snapshot, filter).await;
                survey.subjects = Some(subjects.map_err(unavailable(action))?);
            }
            Ok(survey)
        })
        .await
    }

    async fn timeline(&self, subject: &str, limit: u32) -> Result<Timeline, StoreError> {
        bounded("tell what happened", timeline::read(self, subject, limit)).await
    }
}

impl PostgresStore {
    /// How the database would go about a page and a survey, line by line: for those who wonder where
    /// the time goes.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn explain(&self, filter: &EventFilter) -> Result<Vec<String>, StoreError> {
        const EXPLAIN: &str = "EXPLAIN ";
        let action = "explain a statement";
        let mut connection = self.acquire(action).await?;
        let mut lines = Vec::new();
        for mut statement in [page(EXPLAIN, filter, None, 50), survey(EXPLAIN, filter)] {
            let rows = statement
                .build()
                .fetch_all(&mut *connection)
                .await
                .map_err(unavailable(action))?;
            let details = rows.iter().map(|row| row.try_get(0));
            lines.extend(details.filter_map(Result::ok));
        }
        Ok(lines)
    }
}

fn page(
    before: &str,
    filter: &EventFilter,
    after: Option<&Position>,
    limit: u32,
) -> QueryBuilder<Postgres> {
    let (filter, after) = &narrowed(filter, after);
    let after = *after;
    let mut query = QueryBuilder::new(before);
    query.push(KINDS);
    let limit = i64::from(limit);
    match Way::of(filter) {
        Way::ByKind => {
            push_newest_of_kinds(&mut query, filter, after, limit);
            push_after(&mut query, after);
            query.push(ORDER).push_bind(limit).push(") AS events");
        }
        way => {
            query.push(" SELECT ").push(SUMMARY).push(" FROM (SELECT ");
            query.push(SUMMARY).push(" FROM events WHERE ");
            push_way(&mut query, filter, way);
            push_after(&mut query, after);
            if way == Way::Failing {
                query.push(" OFFSET 0");
            }
            query.push(") AS events");
        }
    }
    query.push(ORDER).push_bind(limit);
    query
}

/// From which time on the newest of all kinds together are enough is told by the index alone; only
/// these are read and sorted then.
fn push_newest_of_kinds(
    query: &mut QueryBuilder<Postgres>,
    filter: &EventFilter,
    after: Option<&Position>,
    limit: i64,
) {
    push_wanted(query, filter);
    query
        .push(
            ", newest AS MATERIALIZED (SELECT time.received_at FROM wanted CROSS JOIN LATERAL ( \
             SELECT received_at FROM events WHERE",
        )
        .push(OF_KIND);
    filter::push_times(query, filter);
    if let Some(after) = after {
        query
            .push(" AND received_at < ")
            .push_bind(stored(after.received_at));
    }
    query
        .push(" ORDER BY received_at DESC LIMIT ")
        .push_bind(limit)
        .push(") AS time ORDER BY time.received_at DESC LIMIT ")
        .push_bind(limit)
        .push(") SELECT ")
        .push(SUMMARY)
        .push(" FROM wanted CROSS JOIN LATERAL (SELECT ")
        .push(SUMMARY)
        .push(" FROM events WHERE")
        .push(OF_KIND)
        .push(" AND received_at >= COALESCE((SELECT MIN(received_at) FROM newest), ");
    match filter.since {
        Some(since) => query.push_bind(stored(since)),
        None => query.push("'-infinity'"),
    };
    query.push(")");
    let no_older_end = EventFilter {
        since: None,
        ..filter.clone()
    };
    filter::push_times(query, &no_older_end);
}

fn push_after(query: &mut QueryBuilder<Postgres>, after: Option<&Position>) {
    let Some(after) = after else {
        return;
    };
    let time = stored(after.received_at);
    query
        .push(" AND received_at <= ")
        .push_bind(time)
        .push(" AND (received_at < ")
        .push_bind(time)
        .push(" OR (source, event_id) > (")
        .push_bind(after.key.source.to_string())
        .push(", ")
        .push_bind(after.key.id.to_string())
        .push("))");
}

/// The kinds that the filter means.
fn push_wanted(query: &mut QueryBuilder<Postgres>, filter: &EventFilter) {
    query.push(
        ", wanted(of_state, of_source, of_type) AS MATERIALIZED ( \
         SELECT state, source, event_type FROM kinds WHERE TRUE",
    );
    filter::push_kind(query, filter);
    query.push(")");
}

/// What must hold, in words that an index knows which is about few events.
fn push_way(query: &mut QueryBuilder<Postgres>, filter: &EventFilter, way: Way) {
    query.push(match way {
        Way::ById => "source = ANY(ARRAY(SELECT DISTINCT source FROM kinds))",
        Way::BySubject => "subject IS NOT NULL",
        Way::ByFingerprint | Way::Failing => "fingerprint IS NOT NULL",
        Way::ByKind => "TRUE",
    });
    filter::push(query, filter);
}

fn survey(before: &str, filter: &EventFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(before);
    query.push(KINDS);
    match Way::of(filter) {
        Way::ByKind => {
            push_wanted(&mut query, filter);
            query.push(" SELECT of_state AS state, of_source AS source, of_type AS event_type");
            for (value, kept, name) in [
                ("COUNT(*)", "", "events"),
                ("COUNT(*)", " AND payload IS NULL", "without_payload"),
                ("MIN(received_at)", "", "oldest"),
                ("MAX(received_at)", "", "newest"),
            ] {
                query.push(format_args!(
                    ", (SELECT {value} FROM events WHERE{OF_KIND}{kept}"
                ));
                filter::push_times(&mut query, filter);
                query.push(format_args!(") AS {name}"));
            }
            query.push(" FROM wanted");
        }
        way => {
            query.push(
                " SELECT state, source, event_type, COUNT(*) AS events, \
                 COUNT(*) FILTER (WHERE payload IS NULL) AS without_payload, \
                 MIN(received_at) AS oldest, MAX(received_at) AS newest FROM events WHERE ",
            );
            push_way(&mut query, filter, way);
            query.push(" GROUP BY state, source, event_type");
        }
    }
    query
}

fn read_kind(row: &PgRow) -> Result<KindSurvey, StoreError> {
    let reader = Reader::new("events", "a group", row);
    let events: u64 = reader.count("events")?;
    let without_payload: u64 = reader.count("without_payload")?;
    Ok(KindSurvey {
        count: KindCount {
            source: reader.parse("source", SourceName::parse)?,
            event_type: reader.parse("event_type", EventType::parse)?,
            state: reader.parse("state", EventState::parse)?,
            events,
            with_payload: events.saturating_sub(without_payload),
        },
        oldest: reader.optional_time("oldest")?,
        newest: reader.optional_time("newest")?,
    })
}

/// How many subjects the events that match are about.
async fn count_subjects(
    connection: &mut PgConnection,
    filter: &EventFilter,
) -> Result<u64, sqlx::Error> {
    const COLUMNS: &str = "SELECT COUNT(DISTINCT subject)";
    let mut query = QueryBuilder::<Postgres>::new(KINDS);
    match Way::of(filter) {
        Way::ByKind => {
            push_wanted(&mut query, filter);
            query
                .push(COLUMNS)
                .push(" FROM wanted CROSS JOIN LATERAL (SELECT subject FROM events WHERE")
                .push(OF_KIND);
            filter::push_times(&mut query, filter);
            query.push(" OFFSET 0) AS events");
        }
        way => {
            query.push(COLUMNS).push(" FROM events WHERE ");
            push_way(&mut query, filter, way);
        }
    }
    let subjects: i64 = query.build_query_scalar().fetch_one(connection).await?;
    Ok(subjects.unsigned_abs())
}
