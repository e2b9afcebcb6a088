//! A payload file, and whose it is.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::event::{EventId, EventType};
use crate::model::source::{Provider, Source};

/// A payload that events are made of.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    /// What to call it in messages: the name of its file.
    pub name: String,
    /// Where its events are posted to.
    pub source: Source,
    /// The bytes of the file, untouched.
    pub body: Bytes,
}

impl Template {
    /// Takes a payload whose provider can be told from its form: Stripe's events carry an `id` that
    /// begins with `evt_`, Clerk's carry none, but a `type` and `data`.
    ///
    /// # Errors
    ///
    /// When it has neither form. A payload for a named source, or one that is wrong on purpose,
    /// needs no form: it is built with its source.
    pub fn detect(name: String, body: Bytes) -> Result<Self, TemplateError> {
        let outline = Outline::of(&body);
        let provider = if outline.id.is_some_and(|id| id.starts_with("evt_")) {
            Provider::Stripe
        } else if outline.event_type.is_some() && outline.data.is_some() {
            Provider::Clerk
        } else {
            return Err(TemplateError::UnknownForm { name });
        };
        Ok(Self {
            name,
            source: provider.into(),
            body,
        })
    }
}

impl fmt::Debug for Template {
    /// Leaves the body out: it may be somebody's personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("name", &self.name)
            .field("source", &self.source)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Why a file is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It looks like no provider's payload.
    #[error(
        "{name} looks neither like an event of Stripe (an `id` that begins with `evt_`) nor like \
         one of Clerk (`type` and `data`): say whose it is with `--source`"
    )]
    UnknownForm {
        /// The name of the file.
        name: String,
    },
}

/// What a body says of itself. Empty where it says nothing usable.
#[derive(Default, Deserialize)]
pub(super) struct Outline<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    event_type: Option<Cow<'a, str>>,
    #[serde(default)]
    data: Option<IgnoredAny>,
}

impl<'a> Outline<'a> {
    pub(super) fn of(body: &'a [u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The id that the receiver will find in the body.
    pub(super) fn id(&self) -> Option<EventId> {
        self.id.as_deref().and_then(EventId::parse)
    }

    pub(super) fn event_type(&self) -> EventType {
        self.event_type
            .as_deref()
            .and_then(EventType::parse)
            .unwrap_or_else(EventType::unknown)
    }
}
