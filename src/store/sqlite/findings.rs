//! Finding events, and counting them.
//!
//! SQLite keeps no statistics here, so each statement names its index.

use async_trait::async_trait;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::findings::{Findings, Way, narrowed};
use super::super::problem::unavailable;
use super::filter;
use super::read_ledger::{SUMMARY, summary};
use super::rows::Reader;
use super::{SqliteStore, StoreError, timeline};
use crate::model::event::EventType;
use crate::model::ledger::{EventFilter, EventSummary, Position};
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::survey::{KindCount, KindSurvey, Survey};
use crate::model::timeline::Timeline;

/// All kinds that there are: from one to the next, past all events in between. SQLite would look up a
/// row of three values by the first of them only.
const KINDS: &str = "WITH RECURSIVE kinds(state, source, event_type) AS ( \
     SELECT * FROM (SELECT state, source, event_type FROM events INDEXED BY events_by_kind \
         ORDER BY state, source, event_type LIMIT 1) \
     UNION ALL \
     SELECT e.state, e.source, e.event_type FROM kinds AS k CROSS JOIN events AS e \
     ON e.rowid = COALESCE( \
         (SELECT n.rowid FROM events AS n INDEXED BY events_by_kind \
             WHERE n.state = k.state AND n.source = k.source AND n.event_type > k.event_type \
             ORDER BY n.event_type LIMIT 1), \
         (SELECT n.rowid FROM events AS n INDEXED BY events_by_kind \
             WHERE n.state = k.state AND n.source > k.source \
             ORDER BY n.source, n.event_type LIMIT 1), \
         (SELECT n.rowid FROM events AS n INDEXED BY events_by_kind \
             WHERE n.state > k.state \
             ORDER BY n.state, n.source, n.event_type LIMIT 1))) ";
const OF_KIND: &str = " state = of_state AND source = of_source AND event_type = of_type ";
const ORDER: &str = " ORDER BY received_at DESC, source, event_id LIMIT ";

#[async_trait]
impl Findings for SqliteStore {
    async fn page_events(
        &self,
        filter: &EventFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<EventSummary>, StoreError> {
        let rows = page("", filter, after, limit)
            .build()
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable("list events"))?;
        rows.iter().map(summary).collect()
    }

    async fn survey(&self, filter: &EventFilter) -> Result<Survey, StoreError> {
        let action = "count events";
        let mut snapshot = self.readers.begin().await.map_err(unavailable(action))?;
        let rows = match Way::of(filter) {
            Way::ByKind => survey_of_kinds("", filter),
            way => survey_of_rows("", filter, way),
        }
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
        snapshot.commit().await.map_err(unavailable(action))?;
        Ok(survey)
    }

    async fn timeline(&self, subject: &str, limit: u32) -> Result<Timeline, StoreError> {
        timeline::read(self, subject, limit).await
    }
}

impl SqliteStore {
    /// How the database would go about a page and a survey, line by line: for those who wonder where
    /// the time goes.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn explain(&self, filter: &EventFilter) -> Result<Vec<String>, StoreError> {
        const EXPLAIN: &str = "EXPLAIN QUERY PLAN ";
        let mut lines = Vec::new();
        let survey = match Way::of(filter) {
            Way::ByKind => survey_of_kinds(EXPLAIN, filter),
            way => survey_of_rows(EXPLAIN, filter, way),
        };
        for mut statement in [page(EXPLAIN, filter, None, 1), survey] {
            let rows = statement
                .build()
                .fetch_all(&self.readers)
                .await
                .map_err(unavailable("explain a statement"))?;
            let details = rows.iter().map(|row| row.try_get("detail"));
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
) -> QueryBuilder<Sqlite> {
    let (filter, after) = &narrowed(filter, after);
    let after = *after;
    let mut query = QueryBuilder::new(before);
    query.push(KINDS);
    match Way::of(filter) {
        Way::ByKind => push_newest_of_kinds(&mut query, filter, after, limit),
        way => push_from(&mut query, filter, way, SUMMARY),
    }
    if let Some(after) = after {
        push_after(&mut query, after);
    }
    query.push(ORDER).push_bind(limit);
    query
}

/// From which time on the newest of all kinds together are enough is told by the index alone; only
/// these are read and sorted then.
fn push_newest_of_kinds(
    query: &mut QueryBuilder<Sqlite>,
    filter: &EventFilter,
    after: Option<&Position>,
    limit: u32,
) {
    push_wanted(query, filter);
    query
        .push(
            ", newest AS (SELECT time.value AS received_at FROM wanted, json_each(( \
             SELECT json_group_array(received_at) FROM ( \
             SELECT received_at FROM events INDEXED BY events_by_kind WHERE",
        )
        .push(OF_KIND);
    filter::push_times(query, filter);
    if let Some(after) = after {
        query
            .push(" AND received_at < ")
            .push_bind(after.received_at.to_string());
    }
    query
        .push(" ORDER BY received_at DESC LIMIT ")
        .push_bind(limit)
        .push("))) AS time ORDER BY time.value DESC LIMIT ")
        .push_bind(limit)
        .push(") SELECT ")
        .push(SUMMARY)
        .push(" FROM wanted CROSS JOIN events INDEXED BY events_by_kind WHERE")
        .push(OF_KIND)
        .push(" AND received_at >= COALESCE((SELECT MIN(received_at) FROM newest), ");
    match filter.since {
        Some(since) => query.push_bind(since.to_string()),
        None => query.push("''"),
    };
    query.push(")");
    let no_older_end = EventFilter {
        since: None,
        ..filter.clone()
    };
    filter::push_times(query, &no_older_end);
}

fn push_after(query: &mut QueryBuilder<Sqlite>, after: &Position) {
    let time = after.received_at.to_string();
    query
        .push(" AND received_at <= ")
        .push_bind(time.clone())
        .push(" AND (received_at < ")
        .push_bind(time)
        .push(" OR (source, event_id) > (")
        .push_bind(after.key.source.to_string())
        .push(", ")
        .push_bind(after.key.id.to_string())
        .push("))");
}

/// The kinds that the filter means.
fn push_wanted(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    query.push(
        ", wanted(of_state, of_source, of_type) AS MATERIALIZED ( \
         SELECT state, source, event_type FROM kinds WHERE TRUE",
    );
    filter::push_kind(query, filter);
    query.push(")");
}

/// The events that match, by an index that is about few of them.
fn push_from(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter, way: Way, columns: &str) {
    query.push(" SELECT ").push(columns).push(" FROM events ");
    query.push(match way {
        // What SQLite calls the index of the primary key.
        Way::ById => {
            "INDEXED BY sqlite_autoindex_events_1 WHERE source IN (SELECT source FROM kinds)"
        }
        Way::BySubject => "INDEXED BY events_by_subject WHERE subject IS NOT NULL",
        Way::ByFingerprint | Way::Failing => {
            "INDEXED BY events_by_fingerprint WHERE fingerprint IS NOT NULL"
        }
        Way::ByKind => "WHERE TRUE",
    });
    filter::push(query, filter);
}

fn survey_of_kinds(before: &str, filter: &EventFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(before);
    query.push(KINDS);
    push_wanted(&mut query, filter);
    query.push(" SELECT of_state AS state, of_source AS source, of_type AS event_type");
    for (value, index, name) in [
        ("COUNT(*)", "events_by_kind WHERE", "events"),
        (
            "COUNT(*)",
            "events_without_payload WHERE payload IS NULL AND",
            "without_payload",
        ),
        ("MIN(received_at)", "events_by_kind WHERE", "oldest"),
        ("MAX(received_at)", "events_by_kind WHERE", "newest"),
    ] {
        query.push(format_args!(
            ", (SELECT {value} FROM events INDEXED BY {index}{OF_KIND}"
        ));
        filter::push_times(&mut query, filter);
        query.push(format_args!(") AS {name}"));
    }
    query.push(" FROM wanted");
    query
}

fn survey_of_rows(before: &str, filter: &EventFilter, way: Way) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(before);
    query.push(KINDS);
    let columns = "state, source, event_type, COUNT(*) AS events, \
                   SUM(payload IS NULL) AS without_payload, \
                   MIN(received_at) AS oldest, MAX(received_at) AS newest";
    push_from(&mut query, filter, way, columns);
    query.push(" GROUP BY state, source, event_type");
    query
}

fn read_kind(row: &sqlx::sqlite::SqliteRow) -> Result<KindSurvey, StoreError> {
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
    connection: &mut SqliteConnection,
    filter: &EventFilter,
) -> Result<u64, sqlx::Error> {
    const COLUMNS: &str = "COUNT(DISTINCT subject)";
    let mut query = QueryBuilder::<Sqlite>::new(KINDS);
    match Way::of(filter) {
        Way::ByKind => {
            push_wanted(&mut query, filter);
            query
                .push(format_args!(
                    " SELECT {COLUMNS} FROM wanted CROSS JOIN events INDEXED BY events_by_kind WHERE"
                ))
                .push(OF_KIND);
            filter::push_times(&mut query, filter);
        }
        way => push_from(&mut query, filter, way, COLUMNS),
    }
    let subjects: i64 = query.build_query_scalar().fetch_one(connection).await?;
    Ok(subjects.unsigned_abs())
}
