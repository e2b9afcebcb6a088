//! From a row's values to ours and back; a value that this program does not write is named by its
//! place.

use chrono::{DateTime, Utc};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Row, Type};

use super::StoreError;
use crate::model::time::Timestamp;

/// The years 1 to 9999, in milliseconds: what every reader of a `timestamptz` can show.
const EARLIEST: i64 = -62_135_596_800_000;
const LATEST: i64 = 253_402_300_799_999;

/// The beginning of the year 2000, in milliseconds: from there Postgres counts.
const BEGINNING: i64 = 946_684_800_000;

/// A point in time as a `timestamptz`, held at the ends of the range.
pub(super) fn stored(time: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time.as_millis().clamp(EARLIEST, LATEST)).unwrap_or_default()
}

/// Reads the columns of one row of one table.
pub(super) struct Reader<'r> {
    table: &'static str,
    key: &'r str,
    row: &'r PgRow,
}

impl<'r> Reader<'r> {
    /// `key` names the row in error messages.
    pub(super) fn new(table: &'static str, key: &'r str, row: &'r PgRow) -> Self {
        Self { table, key, row }
    }

    /// A value of the column's own type.
    pub(super) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
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
        let time: Received = self.get(column)?;
        time.in_range().ok_or_else(|| self.damaged(column))
    }

    /// A point in time, if there is one.
    pub(super) fn optional_time(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let time: Option<Received> = self.get(column)?;
        time.map(|time| time.in_range().ok_or_else(|| self.damaged(column)))
            .transpose()
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

/// A `timestamptz` as it arrives, in microseconds. The driver's own types panic at what they cannot
/// hold, such as `infinity`.
struct Received(i64);

impl Received {
    fn in_range(&self) -> Option<Timestamp> {
        let millis = self.0.div_euclid(1000).checked_add(BEGINNING)?;
        let is_shown = (EARLIEST..=LATEST).contains(&millis);
        is_shown.then(|| Timestamp::from_millis(millis))
    }
}

impl Type<Postgres> for Received {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Received {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<i64 as Decode<Postgres>>::decode(value)?))
    }
}

/// One column of many rows, for `UNNEST`.
pub(super) fn column<'r, R, T>(rows: &'r [R], value: impl FnMut(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
