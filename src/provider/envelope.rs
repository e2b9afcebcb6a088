//! A glance at the envelope: the two fields that ingress needs, and nothing else.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::payload::Name;

/// What the body says of itself. Each field by itself is empty where it says nothing usable: not
/// text, or said twice.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) event_type: Option<Cow<'a, str>>,
}

/// Reads id and type without building the rest. What cannot be read is left to the worker, which
/// records it as `failed`.
pub(super) fn peek(body: &[u8]) -> Envelope<'_> {
    serde_json::from_slice(body).unwrap_or_default()
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

/// Takes objects only: a derived struct would also take a list for one, by position.
struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id = Said::Nothing;
        let mut event_type = Said::Nothing;
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "id" => id = id.and_then(map.next_value()?),
                "type" => event_type = event_type.and_then(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Envelope {
            id: id.text(),
            event_type: event_type.text(),
        })
    }
}

/// What was said under one name so far.
enum Said<'a> {
    Nothing,
    Once(&'a RawValue),
    TooOften,
}

impl<'a> Said<'a> {
    fn and_then(self, value: &'a RawValue) -> Self {
        match self {
            Self::Nothing => Self::Once(value),
            Self::Once(_) | Self::TooOften => Self::TooOften,
        }
    }

    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Once(value) => serde_json::from_str(value.get())
                .ok()
                .map(|Name(text)| text),
            Self::Nothing | Self::TooOften => None,
        }
    }
}
