//! An event as it travels: what it is called, where it came from, and its exact bytes.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::headers::KeptHeaders;
use super::source::SourceName;
use super::time::Timestamp;
use super::trace::TraceContext;
pub use super::trigger::Trigger;

/// The provider's own identity of an event: the same for every delivery, retry and resend of it.
///
/// One to 255 visible ASCII characters. Clerk: the `svix-id` header (the body carries no id).
/// Stripe: the `id` of the body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String)]
pub struct EventId(String);

impl EventId {
    /// Takes an id that keeps to the rule; `None` otherwise.
    pub fn parse(id: &str) -> Option<Self> {
        let fits = (1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(id.to_owned()))
    }

    /// An id for an authentic body that does not name one: derived from the bytes, so that a retry
    /// of the same body is the same event.
    pub fn of_body(body: &[u8]) -> Self {
        let digest = hex::encode(Sha256::digest(body));
        Self(format!("sha256-{digest}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The provider's name of what happened, such as `user.updated`. An open set: any text of one to
/// 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String)]
pub struct EventType(String);

impl EventType {
    /// Takes a type that keeps to the rule; `None` otherwise.
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(name.to_owned()))
    }

    /// What an authentic event is filed under when its body names no usable type.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What identifies an event in the ledger. Displayed as `{source}/{event id}`, which is also the
/// `message_id` on a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
pub struct EventKey {
    /// Where it came from.
    pub source: SourceName,
    /// What the provider calls it.
    #[serde(rename = "event_id")]
    pub id: EventId,
}

impl EventKey {
    /// Reads the displayed form back; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (source, id) = text.split_once('/')?;
        Some(Self {
            source: SourceName::parse(source)?,
            id: EventId::parse(id)?,
        })
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.id)
    }
}

/// A verified event on its way from ingress to the worker.
///
/// Cheap to clone except for its id and type; the body is shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its identity.
    pub key: EventKey,
    /// What happened.
    pub event_type: EventType,
    /// When ingress received this delivery of it.
    pub received_at: Timestamp,
    /// Why it is on the queue.
    pub trigger: Trigger,
    /// What is kept of the headers of this delivery; nothing where it is not the provider's.
    pub headers: KeptHeaders,
    /// The span that put it on the queue; `None` for a retry or a replay, which begin a trace of their
    /// own: days may lie between, and what is waited for is no part of the first.
    pub trace: Option<TraceContext>,
    /// Exactly the bytes whose signature was checked.
    pub body: Bytes,
}

impl fmt::Debug for Event {
    /// Leaves the body out: it is somebody's personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("key", &self.key)
            .field("event_type", &self.event_type)
            .field("received_at", &self.received_at)
            .field("trigger", &self.trigger)
            .field("headers", &self.headers)
            .field("trace", &self.trace)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
