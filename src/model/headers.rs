//! The few headers of a delivery that are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A value is cut after so many bytes.
const LONGEST_VALUE: usize = 256;
/// Longer than any that this program writes.
const LONGEST: usize = 4096;

/// A header that may be kept. Signatures, cookies, credentials and addresses are not among them, so
/// they cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptHeader {
    /// `content-type`.
    ContentType,
    /// `user-agent`.
    UserAgent,
    /// When Svix signed this delivery.
    SvixTimestamp,
    /// When Stripe signed it: the `t` of its signature header.
    StripeTimestamp,
    /// Which signing secret matched, by its label; no header of the sender's.
    Secret,
}

impl KeptHeader {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ContentType,
        Self::UserAgent,
        Self::SvixTimestamp,
        Self::StripeTimestamp,
        Self::Secret,
    ];

    /// The name under which it is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContentType => "content-type",
            Self::UserAgent => "user-agent",
            Self::SvixTimestamp => "svix-timestamp",
            Self::StripeTimestamp => "stripe-timestamp",
            Self::Secret => "secret",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// What is kept of the headers of one delivery, written once: a small JSON object of texts, each of at
/// most 256 visible ASCII characters and spaces. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = BTreeMap<String, String>)]
pub struct KeptHeaders(Option<Arc<str>>);

impl KeptHeaders {
    /// Keeps these values, as far as they may be. What is not visible ASCII is written as `?`.
    pub fn of<'a>(values: impl IntoIterator<Item = (KeptHeader, &'a [u8])>) -> Self {
        let values = values.into_iter();
        Self::write(values.map(|(header, value)| (header.as_str(), bounded(value))))
    }

    /// Reads what [`as_json`](Self::as_json) wrote. What is something else is left out: headers are not
    /// worth an event.
    pub fn parse(text: &str) -> Self {
        if text.len() > LONGEST {
            return Self::default();
        }
        let values: BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
        let values = values.iter().filter_map(|(name, value)| {
            let header = KeptHeader::parse(name)?;
            Some((header.as_str(), bounded(value.as_bytes())))
        });
        Self::write(values)
    }

    fn write(values: impl Iterator<Item = (&'static str, String)>) -> Self {
        let values: BTreeMap<&str, String> = values.collect();
        if values.is_empty() {
            return Self::default();
        }
        Self(serde_json::to_string(&values).ok().map(Arc::from))
    }

    /// As a JSON object; `None` if nothing is kept.
    pub fn as_json(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// By name.
    pub fn values(&self) -> BTreeMap<String, String> {
        let read = |json| serde_json::from_str(json).ok();
        self.as_json().and_then(read).unwrap_or_default()
    }
}

fn bounded(value: &[u8]) -> String {
    let value = value.iter().take(LONGEST_VALUE);
    let visible = value.map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    });
    visible.collect()
}

impl Serialize for KeptHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values().serialize(serializer)
    }
}
