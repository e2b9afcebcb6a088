//! JSON objects, read field by field, so that a problem can be told by its place.
//!
//! Guaranteed: no error quotes anything of a payload. `serde_json`'s own messages do (`invalid
//! type: string "jane@…"`), and they do not name the field; here a problem is a fixed phrase and a
//! place made of our own words. A repeated key is a problem where it is read, and only there: the
//! provider's parser and ours could take different ones.
//!
//! Fields that nobody asks for are skipped without being looked into, however deep or odd they are.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::model::time::Timestamp;

/// The last millisecond of the year 9999. Later times have no four-digit year, and one of them
/// would make a user newer than every state that follows.
const LAST_MILLISECOND: i64 = 253_402_300_799_999;

/// What is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is no JSON object at all.
    #[error("line {line}, column {column}: {problem}")]
    NotJson {
        /// What was found there.
        problem: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 is before the first character.
        column: usize,
    },
    /// A field that is needed is not there, or is not what it should be.
    #[error("`{place}` {problem}")]
    Invalid {
        /// The path of the field, such as `data.updated_at`.
        place: String,
        /// What is wrong, to be read after the place.
        problem: &'static str,
    },
}

/// A JSON object whose fields are still text.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    place: String,
    fields: Vec<(Name<'a>, &'a RawValue)>,
}

/// The name of a field, borrowed unless it holds an escape.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> Object<'a> {
    /// Reads a whole body, which must be one JSON object.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, PayloadError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let (line, column) = position(&body[..error.valid_up_to()]);
            PayloadError::NotJson {
                problem: "bytes that are not UTF-8",
                line,
                column,
            }
        })?;
        let Fields(fields) = serde_json::from_str(text).map_err(|error| PayloadError::NotJson {
            problem: match error.classify() {
                Category::Syntax => "not JSON",
                Category::Eof => "the text ends too early",
                Category::Data | Category::Io => "not an object",
            },
            line: error.line(),
            column: error.column(),
        })?;
        Ok(Self {
            place: String::new(),
            fields,
        })
    }

    fn of_value(place: String, value: &'a RawValue) -> Result<Self, PayloadError> {
        match serde_json::from_str(value.get()) {
            Ok(Fields(fields)) => Ok(Self { place, fields }),
            Err(_) => Err(PayloadError::Invalid {
                place,
                problem: "is not an object",
            }),
        }
    }

    /// A complaint about one of the fields.
    pub(crate) fn invalid(&self, name: &str, problem: &'static str) -> PayloadError {
        PayloadError::Invalid {
            place: self.place_of(name),
            problem,
        }
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// The text of a field; `None` where it is missing or `null`.
    fn get(&self, name: &str) -> Result<Option<&'a RawValue>, PayloadError> {
        let mut values = self
            .fields
            .iter()
            .filter(|(field, _)| field.0 == name)
            .map(|(_, value)| *value);
        let value = values.next();
        if values.next().is_some() {
            return Err(self.invalid(name, "is there more than once"));
        }
        Ok(value.filter(|value| value.get() != "null"))
    }

    fn read<T: Deserialize<'a>>(
        &self,
        name: &str,
        problem: &'static str,
    ) -> Result<Option<T>, PayloadError> {
        self.get(name)?
            .map(|value| serde_json::from_str(value.get()))
            .transpose()
            .map_err(|_| self.invalid(name, problem))
    }

    /// Insists on a field.
    pub(crate) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, PayloadError> {
        value.ok_or_else(|| self.invalid(name, "is missing"))
    }

    /// Text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, PayloadError> {
        self.read(name, "is not text")
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, PayloadError> {
        self.read(name, "is not true or false")
    }

    /// A whole number of 64 bits.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, PayloadError> {
        self.read(name, "is not a whole number of 64 bits")
    }

    /// A time in seconds.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<Timestamp>, PayloadError> {
        self.time(name, Timestamp::from_seconds)
    }

    /// A time in seconds or milliseconds, told apart by their size.
    pub(crate) fn seconds_or_millis(&self, name: &str) -> Result<Option<Timestamp>, PayloadError> {
        self.time(name, Timestamp::from_seconds_or_millis)
    }

    fn time(
        &self,
        name: &str,
        unit: fn(i64) -> Timestamp,
    ) -> Result<Option<Timestamp>, PayloadError> {
        self.number(name)?
            .map(|number| {
                let time = unit(number);
                (0..=LAST_MILLISECOND)
                    .contains(&time.as_millis())
                    .then_some(time)
                    .ok_or_else(|| self.invalid(name, "is not a time between 1970 and 9999"))
            })
            .transpose()
    }

    /// An object.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Object<'a>>, PayloadError> {
        self.get(name)?
            .map(|value| Object::of_value(self.place_of(name), value))
            .transpose()
    }

    /// The text of an object, exactly as it stands in the body.
    pub(crate) fn object_text(&self, name: &str) -> Result<Option<&'a str>, PayloadError> {
        self.get(name)?
            .map(|value| {
                let text = value.get();
                text.starts_with('{')
                    .then_some(text)
                    .ok_or_else(|| self.invalid(name, "is not an object"))
            })
            .transpose()
    }

    /// A list of objects; empty where it is missing or `null`.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Object<'a>>, PayloadError> {
        let values: Vec<&RawValue> = self.read(name, "is not a list")?.unwrap_or_default();
        values
            .into_iter()
            .map(|value| Object::of_value(format!("{}[]", self.place_of(name)), value))
            .collect()
    }

    /// The id of another object, given as text or as that object itself, which Stripe calls
    /// expanded.
    pub(crate) fn reference(&self, name: &str) -> Result<Option<String>, PayloadError> {
        match self.get(name)? {
            Some(value) if value.get().starts_with('{') => {
                let expanded = Object::of_value(self.place_of(name), value)?;
                let id = expanded.id("id")?;
                expanded.required("id", id).map(Some)
            }
            _ => self.id(name),
        }
    }

    /// An id: one to 255 visible ASCII characters.
    pub(crate) fn id(&self, name: &str) -> Result<Option<String>, PayloadError> {
        match self.text(name)? {
            Some(id) if !is_id(&id) => Err(self.invalid(name, "does not have the form of an id")),
            id => Ok(id),
        }
    }
}

/// Whether text can be an id of either provider. An empty one would make strangers share it.
fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Line and column of what follows `before`, as `serde_json` counts them.
fn position(before: &[u8]) -> (usize, usize) {
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    (line, column)
}

/// All fields of an object, in their order. Unlike a derived struct it takes no list for an object.
struct Fields<'a>(Vec<(Name<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}
