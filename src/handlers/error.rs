//! Why an event cannot be planned for.

use crate::error_chain::ErrorChain;
use crate::model::changes::Failure;
use crate::model::event::EventType;
use crate::model::source::Provider;
use crate::provider::payload::PayloadError;

/// Why an event cannot be planned for. Never quotes the payload. Final: the same bytes fail again,
/// until a newer version of this program reads them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// The body is not what events of this type look like.
    #[error("the payload cannot be used")]
    Payload(#[from] PayloadError),
    /// The body names no type, or none that can be one.
    #[error("the payload names no usable event type")]
    TypeMissing,
}

impl HandlerError {
    /// A stable code.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Payload(PayloadError::NotJson { .. }) => "payload_not_json",
            Self::Payload(PayloadError::Invalid { .. }) => "payload_invalid",
            Self::TypeMissing => "type_missing",
        }
    }

    /// The field that is to blame, such as `data.updated_at`, where it can be told.
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::Payload(PayloadError::Invalid { place, .. }) => Some(place),
            Self::Payload(PayloadError::NotJson { .. }) => None,
            Self::TypeMissing => Some("type"),
        }
    }

    /// The form in which the ledger keeps it.
    pub fn into_failure(self, provider: Provider, event_type: &EventType) -> Failure {
        let message = ErrorChain(&self).to_string();
        let place = format!("{provider} {}", self.place().unwrap_or_default());
        Failure::new(self.kind(), &place, event_type, message)
    }
}
