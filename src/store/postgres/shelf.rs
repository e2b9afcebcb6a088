//! Rows as they lie in their tables.

use serde_json::Value;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::super::problem::ApplyError;
use super::super::shelf::{Rows, Shape, Shelf, json, whole};
use super::StoreError;
use super::rows::Reader;

/// The rows that are found by one of these keys.
pub(super) async fn read(
    connection: &mut PgConnection,
    shelf: &Shelf,
    keys: &[String],
) -> Result<Rows, ApplyError> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query.push(shelf.key).push(" AS shelf_key");
    for (column, shape) in shelf.columns {
        query.push(", ").push(*column);
        if matches!(shape, Shape::Json | Shape::Whole) {
            query.push("::text AS ").push(*column);
        }
    }
    query
        .push(" FROM ")
        .push(shelf.table)
        .push(" WHERE ")
        .push(shelf.by)
        .push(" = ANY(")
        .push_bind(keys)
        .push(")");
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
        Shape::Text => reader.get::<Option<String>>(column)?.into(),
        Shape::Time => {
            let time = reader.optional_time(column)?;
            time.map(|time| time.to_string()).into()
        }
        Shape::Flag => reader.get::<Option<bool>>(column)?.into(),
        Shape::Json => json(reader.get(column)?),
        Shape::Whole => whole(reader.get(column)?),
    })
}
