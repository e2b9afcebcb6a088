//! Whose fault a failure is: an event's, which is then recorded, or nobody's.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use super::StoreError;

/// The kind of failure of an event whose values the database refuses.
const DATA_REFUSED: &str = "data_refused";
/// The kind of failure of an event that meets a stored row which this program did not write.
const ROW_DAMAGED: &str = "row_damaged";

/// How an attempt to apply can go wrong.
#[derive(Debug)]
pub(super) enum ApplyError {
    /// An event of the batch cannot be applied, and could not be alone.
    Event(Problem),
    /// Another writer was in the way, and the database has chosen this one to begin anew.
    Conflict(sqlx::Error),
    /// Another writer has connected what this one holds with something that it does not hold.
    Outgrown,
    /// Anything else.
    Store(StoreError),
}

impl ApplyError {
    /// For a caller that can do nothing about it but come again later.
    pub(super) fn into_store_error(self, action: &'static str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Conflict(error) => unavailable(action)(error),
            Self::Outgrown => StoreError::Unavailable {
                action,
                source: "other writers change the same payments all the time".into(),
            },
            Self::Event(Problem {
                damage: Some(error),
                ..
            }) => error,
            Self::Event(problem) => StoreError::Unavailable {
                action,
                source: problem.message.into(),
            },
        }
    }
}

/// What stands between an event and the database.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) kind: &'static str,
    /// The same for every event with this problem.
    pub(super) place: String,
    pub(super) message: String,
    /// The stored row that is in the way, if it is one.
    pub(super) damage: Option<StoreError>,
}

impl From<StoreError> for ApplyError {
    /// A row that was damaged by hand is in the way of the events about it, and of no other.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Inconsistent { table, column, .. } => Self::Event(Problem {
                kind: ROW_DAMAGED,
                place: format!("{table}.{column}"),
                message: error.to_string(),
                damage: Some(error),
            }),
            error => Self::Store(error),
        }
    }
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        match blame(&error) {
            Blame::Value(what) => Self::Event(Problem {
                kind: DATA_REFUSED,
                message: format!("the database refuses a value: {what}"),
                place: what,
                damage: None,
            }),
            Blame::OtherWriter => Self::Conflict(error),
            Blame::Nobody => Self::Store(unavailable("apply a batch")(error)),
        }
    }
}

/// Wraps an error of the driver that belongs to the infrastructure.
pub(super) fn unavailable(action: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| {
        if is_refusal(&source) {
            return StoreError::Refused(source.into());
        }
        StoreError::Unavailable {
            action,
            source: source.into(),
        }
    }
}

/// Whether a schema that does not come to be is the schema's fault. Not if the wire broke, and not
/// for these classes of SQLSTATE: 08 (connection), 25 (read-only, idle for too long), 40 (another
/// writer), 53 (resources), 55 (locks), 57 (an operator, or a start or a stop), 58 (the system).
pub(super) fn is_of_schema(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    let passing = |code: &str| {
        ["08", "25", "40", "53", "55", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class))
    };
    error
        .try_downcast_ref::<PgDatabaseError>()
        .is_none_or(|error| !passing(error.code()))
}

/// Classes of SQLSTATE 28 (invalid authorization) and 3D (no such database).
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .map(PgDatabaseError::code);
    code.is_some_and(|code| code.starts_with("28") || code.starts_with("3D"))
}

/// SQLSTATE 42501 (insufficient privilege).
pub(super) fn is_forbidden(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| code == "42501")
}

enum Blame {
    /// A value; what is wrong with it, without the value itself.
    Value(String),
    OtherWriter,
    Nobody,
}

fn blame(error: &sqlx::Error) -> Blame {
    let Some(error) = error.as_database_error() else {
        return Blame::Nobody;
    };
    if let Some(sqlite) = error.try_downcast_ref::<SqliteError>() {
        return blame_in_sqlite(sqlite);
    }
    match error.try_downcast_ref::<PgDatabaseError>() {
        Some(postgres) => blame_in_postgres(postgres),
        None => Blame::Nobody,
    }
}

/// Primary result codes of SQLite that speak of a value: CONSTRAINT, MISMATCH, TOOBIG. Its messages
/// name constraints and columns, not values.
fn blame_in_sqlite(error: &SqliteError) -> Blame {
    let extended: Option<u32> = error.code().and_then(|code| code.parse().ok());
    match extended.map(|code| code & 0xff) {
        Some(18..=20) => Blame::Value(error.to_string()),
        _ => Blame::Nobody,
    }
}

/// Classes of SQLSTATE that speak of a value: 22 (data exception), 23 (integrity constraint), 54
/// (program limit, such as JSON nested too deep).
fn blame_in_postgres(error: &PgDatabaseError) -> Blame {
    match error.code() {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Blame::OtherWriter,
        // Somebody's trigger refuses the row. Its words are not ours, and may quote the row.
        "P0001" => Blame::Value("a trigger raised an exception (SQLSTATE P0001)".to_owned()),
        code if ["22", "23", "54"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            let text = without_quotes(error.message());
            let constraint = error.constraint().unwrap_or_default();
            Blame::Value(
                format!("{text} (SQLSTATE {code}) {constraint}")
                    .trim_end()
                    .to_owned(),
            )
        }
        _ => Blame::Nobody,
    }
}

/// Postgres puts values in double quotes, and does not escape those in the value: everything from
/// the first to the last one goes.
fn without_quotes(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) => format!("{}…{}", &message[..first], &message[last + 1..]),
        _ => message.to_owned(),
    }
}
