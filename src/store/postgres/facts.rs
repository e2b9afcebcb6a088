//! The tables of payment facts.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::super::facts::{Cell, Columns, Selection, Stored, cells, columns, read, table};
use super::super::problem::ApplyError;
use super::StoreError;
use super::rows::{Reader, stored};
use crate::model::payment::FactKind;
use crate::model::time::Timestamp;

/// Reads stored facts.
pub(super) async fn select(
    connection: &mut PgConnection,
    selection: &Selection,
) -> Result<Vec<Stored>, ApplyError> {
    let table = table(selection.kind);
    let conditions: Vec<String> = selection
        .any_of
        .iter()
        .enumerate()
        .map(|(index, (column, _))| format!("{column} = ANY(${})", index + 1))
        .collect();
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE {}",
        conditions.join(" OR "),
        columns = columns(selection.kind),
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (_, values) in &selection.any_of {
        query = query.bind(values);
    }
    let rows = query.fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let id: &str = row.try_get("id").unwrap_or_default();
            Ok(read(selection.kind, &Reader::new(table, id, row))?)
        })
        .collect()
}

/// Writes facts of one kind, each with all that is known of it.
pub(super) async fn write(
    connection: &mut PgConnection,
    kind: FactKind,
    rows: &[Stored],
) -> Result<(), sqlx::Error> {
    let mut columns: Vec<(&'static str, Values)> = Vec::new();
    for row in rows {
        let cells = cells(row);
        if columns.is_empty() {
            columns.extend(cells.iter().map(|(name, cell)| (*name, Values::like(cell))));
        }
        for ((_, values), (_, cell)) in columns.iter_mut().zip(cells) {
            values.push(cell);
        }
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (_, values))| format!("${}::{}[]", index + 1, values.sql_type()))
        .collect();
    let updates: Vec<String> = names
        .iter()
        .skip(1)
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let sql = format!(
        "INSERT INTO {table} ({names}) SELECT * FROM UNNEST({arrays}) AS row(id) \
         ORDER BY row.id COLLATE \"C\" ON CONFLICT (id) DO UPDATE SET {updates}",
        table = table(kind),
        names = names.join(", "),
        arrays = arrays.join(", "),
        updates = updates.join(", "),
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (_, values) in columns {
        query = match values {
            Values::Texts(values) => query.bind(values),
            Values::Integers(values) => query.bind(values),
            Values::Flags(values) => query.bind(values),
            Values::Times(values) => query.bind(values),
        };
    }
    query.execute(connection).await?;
    Ok(())
}

/// One column of many rows, for `UNNEST`.
enum Values {
    Texts(Vec<Option<String>>),
    Integers(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
    Times(Vec<Option<DateTime<Utc>>>),
}

impl Values {
    fn like(cell: &Cell) -> Self {
        match cell {
            Cell::Text(_) => Self::Texts(Vec::new()),
            Cell::Integer(_) => Self::Integers(Vec::new()),
            Cell::Flag(_) => Self::Flags(Vec::new()),
            Cell::Time(_) => Self::Times(Vec::new()),
        }
    }

    const fn sql_type(&self) -> &'static str {
        match self {
            Self::Texts(_) => "text",
            Self::Integers(_) => "bigint",
            Self::Flags(_) => "boolean",
            Self::Times(_) => "timestamptz",
        }
    }

    /// A cell of another type than the column's is no value of it: it becomes none.
    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Texts(values), Cell::Text(value)) => values.push(value),
            (Self::Integers(values), Cell::Integer(value)) => values.push(value),
            (Self::Flags(values), Cell::Flag(value)) => values.push(Some(value)),
            (Self::Times(values), Cell::Time(value)) => values.push(value.map(stored)),
            (Self::Texts(values), _) => values.push(None),
            (Self::Integers(values), _) => values.push(None),
            (Self::Flags(values), _) => values.push(None),
            (Self::Times(values), _) => values.push(None),
        }
    }
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
