//! What an answer of Clerk means for an entry of the outbox: one table.

use std::time::Duration;

use crate::clerk_api::{ClerkApiError, Disposition};
use crate::error_chain::ErrorChain;
use crate::model::outbox::DeliveryOutcome;
use crate::model::time::Timestamp;

/// | answer | outcome | charged as a failed attempt |
/// | --- | --- | --- |
/// | success | delivered | – |
/// | user unknown | `user_gone`; after backoff again if the user was mirrored meanwhile | yes |
/// | throttled, key refused | retry after the pause | no: says nothing about this user |
/// | no answer, conflict, server error | retry after backoff | yes |
/// | content refused | parked | yes |
pub(super) fn judge(
    error: Option<&ClerkApiError>,
    now: Timestamp,
    pause: Option<Duration>,
    backoff: impl FnOnce() -> Duration,
) -> DeliveryOutcome {
    let Some(error) = error else {
        return DeliveryOutcome::Delivered;
    };
    let text = ErrorChain(error).to_string();
    match error.disposition() {
        Disposition::UserGone => DeliveryOutcome::UserGone {
            again_at: now.plus(backoff()),
            error: text,
        },
        Disposition::Throttled(_) | Disposition::KeyRefused => DeliveryOutcome::Retry {
            at: now.plus(pause.unwrap_or_default()),
            charged: false,
            error: text,
        },
        Disposition::Retry => DeliveryOutcome::Retry {
            at: now.plus(backoff()),
            charged: true,
            error: text,
        },
        Disposition::Park => DeliveryOutcome::Parked { error: text },
    }
}
