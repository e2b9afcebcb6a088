//! Plays the providers' part: signs payload files as Clerk or Stripe would, and posts them.
//!
//! Actors: a [`Template`] is a payload file; [`generate()`] makes as many distinct events of the
//! templates as are wanted; [`plan()`] repeats some and shuffles; a [`Sender`] posts each
//! [`Delivery`], tries again as a provider does, and tells in a [`Report`] what came of it.
//!
//! Guaranteed: everything before the posting is pure, so the same files, count and seed give the
//! same bytes and ids on every run and machine; an event keeps its id and its bytes through all
//! attempts. NOT guaranteed: that events arrive in the order in which they were planned; several
//! are under way at a time, as with the providers.

use std::fmt;

use bytes::Bytes;
use serde_json::json;

use crate::model::event::{EventId, EventKey, EventType};
use crate::model::source::Source;

mod attempt;
mod generate;
mod plan;
mod post;
mod report;
mod rewrite;
mod template;

pub use generate::generate;
pub use plan::{PlanOptions, plan};
pub use post::{Endpoint, Progress, SendError, SendOptions, Sender, Silent};
pub use report::{Ending, ErrorAnswer, Latency, Refusals, Report};
pub use template::{Template, TemplateError};

/// One event, ready to be signed and posted.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The source it is posted to.
    pub source: Source,
    /// Its id: in a header for Clerk, in the body for Stripe.
    pub id: EventId,
    /// What its body says that happened.
    pub event_type: EventType,
    /// Exactly what is signed and posted.
    pub body: Bytes,
}

impl Delivery {
    /// What will identify it in the ledger.
    pub fn key(&self) -> EventKey {
        EventKey {
            source: self.source.name.clone(),
            id: self.id.clone(),
        }
    }

    /// The delivery as one line of JSON, for scripts that compute what the mirror must come to. The
    /// body is text in it; bytes that are not UTF-8 are shown as U+FFFD.
    pub fn to_json_line(&self) -> String {
        json!({
            "source": self.source.name,
            "id": self.id,
            "type": self.event_type,
            "body": String::from_utf8_lossy(&self.body),
        })
        .to_string()
    }
}

impl fmt::Debug for Delivery {
    /// Leaves the body out: it may be somebody's personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("source", &self.source)
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
