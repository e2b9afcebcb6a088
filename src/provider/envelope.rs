//! A glance at the envelope: the two fields that ingress needs, and nothing else.

use std::borrow::Cow;

use serde::Deserialize;

/// What the body says of itself. Empty where it says nothing usable.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    pub(super) event_type: Option<Cow<'a, str>>,
}

/// Reads id and type without building the rest. What cannot be read is left to the worker, which
/// records it as `failed`.
pub(super) fn peek(body: &[u8]) -> Envelope<'_> {
    serde_json::from_slice(body).unwrap_or_default()
}
