//! Whose fault a failure is: an event's, which is then recorded, or nobody's.

use super::{StoreError, unavailable};

/// The kind of failure of an event whose values the database refuses.
const DATA_REFUSED: &str = "data_refused";
/// The kind of failure of an event that meets a stored row which this program did not write.
const ROW_DAMAGED: &str = "row_damaged";

/// How an attempt to apply can go wrong.
pub(super) enum ApplyError {
    /// An event of the batch cannot be applied, and could not be alone.
    Event(Problem),
    /// Anything else.
    Store(StoreError),
}

/// What stands between an event and the database.
pub(super) struct Problem {
    pub(super) kind: &'static str,
    /// The same for every event with this problem.
    pub(super) place: String,
    pub(super) message: String,
}

impl From<StoreError> for ApplyError {
    /// A row that was damaged by hand is in the way of the events about it, and of no other.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Inconsistent { table, column, .. } => Self::Event(Problem {
                kind: ROW_DAMAGED,
                place: format!("{table}.{column}"),
                message: error.to_string(),
            }),
            error => Self::Store(error),
        }
    }
}

impl From<sqlx::Error> for ApplyError {
    /// SQLite names constraints and columns, not values.
    fn from(error: sqlx::Error) -> Self {
        if is_refusal(&error) {
            Self::Event(Problem {
                kind: DATA_REFUSED,
                place: error.to_string(),
                message: format!("the database refuses a value: {error}"),
            })
        } else {
            Self::Store(unavailable("apply a batch")(error))
        }
    }
}

/// Primary result codes of SQLite that speak of a value: CONSTRAINT, MISMATCH, TOOBIG.
fn is_refusal(error: &sqlx::Error) -> bool {
    let extended: Option<u32> = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse().ok());
    extended.is_some_and(|code| matches!(code & 0xff, 18..=20))
}
