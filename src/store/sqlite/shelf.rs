//! Rows as they lie in their tables.

use serde_json::Value;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::super::problem::ApplyError;
use super::super::shelf::{Rows, Shape, Shelf, json, whole};
use super::StoreError;
use super::rows::{Reader, json_list};

/// The rows that are found by one of these keys.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    shelf: &Shelf,
    keys: &[String],
) -> Result<Rows, ApplyError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(shelf.key).push(" AS shelf_key");
    for (column, _) in shelf.columns {
        query.push(", ").push(*column);
    }
    query
        .push(" FROM ")
        .push(shelf.table)
        .push(" WHERE ")
        .push(shelf.by)
        .push(" IN (SELECT value FROM json_each(")
        .push_bind(json_list(keys.iter().map(String::as_str)))
        .push("))");
    let rows = query.build().fetch_all(connection).await?;
    let mut found = Rows::new();
    for row in &rows {
        let key: String = Reader::new(shelf.table, "", row).get("shelf_key")?;
        let reader = Reader::new(shelf.table, &key, row);
        let columns = shelf.columns.iter();
        let columns = columns.map(|(column, shape)| Ok((*column, value(&reader, column, *shape)?)));
        let columns = columns.collect::<Result<_, StoreError>>()?;
        found.insert(key, columns);
    }
    Ok(found)
}

fn value(reader: &Reader<'_>, column: &'static str, shape: Shape) -> Result<Value, StoreError> {
    Ok(match shape {
        Shape::Text | Shape::Time => reader.get::<Option<String>>(column)?.into(),
        Shape::Flag => reader.get::<Option<bool>>(column)?.into(),
        Shape::Json => json(reader.get(column)?),
        Shape::Whole => whole(reader.get(column)?),
    })
}
