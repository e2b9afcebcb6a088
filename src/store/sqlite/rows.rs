//! From a row's values to ours; a value that this program does not write is named by its place.

use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

use super::StoreError;
use crate::model::time::Timestamp;

/// Reads the columns of one row of one table.
pub(super) struct Reader<'r> {
    table: &'static str,
    key: &'r str,
    row: &'r SqliteRow,
}

impl<'r> Reader<'r> {
    /// `key` names the row in error messages.
    pub(super) fn new(table: &'static str, key: &'r str, row: &'r SqliteRow) -> Self {
        Self { table, key, row }
    }

    /// A value of the column's own type.
    pub(super) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|_| self.damaged(column))
    }

    /// A text that must mean something to us.
    pub(super) fn parse<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text: &str = self.get(column)?;
        parse(text).ok_or_else(|| self.damaged(column))
    }

    /// The same where there may be none.
    pub(super) fn parse_optional<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| parse(text).ok_or_else(|| self.damaged(column)))
            .transpose()
    }

    /// A point in time.
    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.parse(column, Timestamp::parse_rfc3339)
    }

    /// A point in time, if there is one.
    pub(super) fn optional_time(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.parse_optional(column, Timestamp::parse_rfc3339)
    }

    /// A count.
    pub(super) fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        T::try_from(self.get(column)?).map_err(|_| self.damaged(column))
    }

    /// For a value that this program does not write.
    pub(super) fn damaged(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent {
            table: self.table,
            column,
            key: self.key.to_owned(),
        }
    }
}

/// A list for `IN (SELECT value FROM json_each(?))`: one statement for any number of values.
pub(super) fn json_list<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let values: Vec<&str> = values.into_iter().collect();
    serde_json::json!(values).to_string()
}
