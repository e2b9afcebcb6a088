//! Why an event is on the queue.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// The number of a replay, counted up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = i64)]
pub struct ReplayId(i64);

impl ReplayId {
    /// Takes a number above zero; `None` otherwise.
    pub fn new(number: i64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Reads the displayed form back; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number)?;
        Self::new(number)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ReplayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ReplayId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

/// Why an event is on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The provider delivered it.
    Webhook,
    /// An earlier attempt failed in a way that may have passed.
    Retry,
    /// Somebody wants it processed again, whatever became of it before.
    Replay(ReplayId),
}

impl Trigger {
    const WEBHOOK: &str = "webhook";
    const RETRY: &str = "retry";
    const REPLAY: &str = "replay:";

    /// The name used on the queue and in attempts: `webhook`, `retry`, `replay:{id}`.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Webhook => Self::WEBHOOK.into(),
            Self::Retry => Self::RETRY.into(),
            Self::Replay(id) => format!("{}{id}", Self::REPLAY).into(),
        }
    }

    /// Reads the name back; `None` if it is not one.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            Self::WEBHOOK => Some(Self::Webhook),
            Self::RETRY => Some(Self::Retry),
            _ => {
                let id = name.strip_prefix(Self::REPLAY)?;
                ReplayId::parse(id).map(Self::Replay)
            }
        }
    }
}
