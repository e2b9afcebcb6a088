//! Rows as they lie in their tables, for who compares them before and after a change.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::facts::{Cell, Stored, cells};

/// Columns by name, in the order of the table.
pub(super) type Row = Vec<(&'static str, Value)>;
/// Rows by key.
pub(super) type Rows = BTreeMap<String, Row>;

/// Rows of one table that are found by one column.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) table: &'static str,
    /// What tells the rows apart, in SQL.
    pub(super) key: &'static str,
    /// What they are looked up by, in SQL: it stands before `= one of them`.
    pub(super) by: &'static str,
    pub(super) columns: &'static [(&'static str, Shape)],
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Text,
    Flag,
    Time,
    Json,
    /// A whole object of the provider's, of which only whether it is the same is told.
    Whole,
}

/// Mirrored users, without when they were written.
pub(super) const USERS: Shelf = Shelf {
    table: "users",
    key: "id",
    by: "id",
    columns: &[
        ("external_id", Shape::Text),
        ("email", Shape::Text),
        ("email_verified", Shape::Flag),
        ("phone", Shape::Text),
        ("username", Shape::Text),
        ("first_name", Shape::Text),
        ("last_name", Shape::Text),
        ("image_url", Shape::Text),
        ("locale", Shape::Text),
        ("banned", Shape::Flag),
        ("locked", Shape::Flag),
        ("public_metadata", Shape::Json),
        ("private_metadata", Shape::Json),
        ("unsafe_metadata", Shape::Json),
        ("created_at", Shape::Time),
        ("updated_at", Shape::Time),
        ("last_sign_in_at", Shape::Time),
        ("data", Shape::Whole),
        ("revision", Shape::Text),
        ("source", Shape::Text),
    ],
};

/// Users that are gone.
pub(super) const TOMBSTONES: Shelf = Shelf {
    table: "user_tombstones",
    key: "id",
    by: "id",
    columns: &[("deleted_at", Shape::Time)],
};

/// What users are entitled to, without when that was written.
pub(super) const ENTITLEMENTS: Shelf = Shelf {
    table: "entitlements",
    key: "user_id",
    by: "user_id",
    columns: &[
        ("paid", Shape::Flag),
        ("payment", Shape::Text),
        ("status", Shape::Text),
        ("reason", Shape::Text),
        ("checkout_session_id", Shape::Text),
        ("subscription_id", Shape::Text),
        ("rule", Shape::Text),
    ],
};

/// Desired metadata, without what dispatchers note about it.
pub(super) const OUTBOX: Shelf = Shelf {
    table: "outbox",
    key: "user_id",
    by: "user_id",
    columns: &[("state", Shape::Text), ("desired", Shape::Json)],
};

/// Events that wait for the user of their payment.
pub(super) const WAITING: Shelf = Shelf {
    table: "events",
    key: "source || '/' || event_id",
    by: "state = 'waiting' AND subject",
    columns: &[],
};

/// A text that is JSON, or is shown as it is.
pub(super) fn json(text: Option<String>) -> Value {
    text.map_or(Value::Null, |text| {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    })
}

/// A whole object: how long it is and what tells it from others.
pub(super) fn whole(text: Option<String>) -> Value {
    text.map_or(Value::Null, |text| {
        let digest = hex::encode(&Sha256::digest(&text)[..4]);
        Value::String(format!("{} bytes, sha256 {digest}…", text.len()))
    })
}

/// The row of a fact.
pub(super) fn row_of(stored: &Stored) -> Row {
    let cells = cells(stored).into_iter().skip(1);
    cells
        .map(|(column, cell)| {
            let value = match cell {
                Cell::Text(text) => Value::from(text),
                Cell::Integer(number) => Value::from(number),
                Cell::Flag(flag) => Value::from(flag),
                Cell::Time(time) => Value::from(time.map(|time| time.to_string())),
            };
            (column, value)
        })
        .collect()
}
