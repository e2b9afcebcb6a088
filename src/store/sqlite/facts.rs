//! The tables of payment facts.

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::super::facts::{Cell, Columns, Selection, Stored, cells, columns, read, table};
use super::super::problem::ApplyError;
use super::StoreError;
use super::rows::{Reader, json_list};
use crate::model::payment::FactKind;
use crate::model::time::Timestamp;

/// Rows in one INSERT; at most 20 values each, far below SQLite's limit of 32,766.
const ROWS: usize = 128;

/// Reads stored facts.
pub(super) async fn select(
    connection: &mut SqliteConnection,
    selection: &Selection,
) -> Result<Vec<Stored>, ApplyError> {
    let table = table(selection.kind);
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query
        .push(columns(selection.kind))
        .push(" FROM ")
        .push(table);
    let mut before = " WHERE ";
    for (column, values) in &selection.any_of {
        query
            .push(before)
            .push(column)
            .push(" IN (SELECT value FROM json_each(")
            .push_bind(json_list(values.iter().map(String::as_str)))
            .push("))");
        before = " OR ";
    }
    let rows = query.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let id: &str = row.try_get("id").unwrap_or_default();
            Ok(read(selection.kind, &Reader::new(table, id, row))?)
        })
        .collect()
}

/// Writes facts of one kind, each with all that is known of it.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    kind: FactKind,
    rows: &[Stored],
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS) {
        let rows: Vec<_> = rows.iter().map(cells).collect();
        let Some(first) = rows.first() else { continue };
        let names: Vec<&str> = first.iter().map(|(name, _)| *name).collect();
        let updates: Vec<String> = names
            .iter()
            .skip(1)
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        QueryBuilder::<Sqlite>::new("INSERT INTO ")
            .push(table(kind))
            .push(" (")
            .push(names.join(", "))
            .push(") ")
            .push_values(rows, |mut row, cells| {
                for (_, cell) in cells {
                    match cell {
                        Cell::Text(value) => row.push_bind(value),
                        Cell::Integer(value) => row.push_bind(value),
                        Cell::Flag(value) => row.push_bind(value),
                        Cell::Time(value) => row.push_bind(value.map(|time| time.to_string())),
                    };
                }
            })
            .push(" ON CONFLICT (id) DO UPDATE SET ")
            .push(updates.join(", "))
            .build()
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl Columns for Reader<'_> {
    fn text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    fn integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        self.get(column)
    }

    fn point_in_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.optional_time(column)
    }

    fn inconsistent(&self, column: &'static str) -> StoreError {
        self.damaged(column)
    }
}
