//! What an answer of Clerk means for an entry of the outbox: one table.

use super::stats::RequestOutcome;
use crate::clerk_api::{ClerkApiError, Disposition};
use crate::error_chain::ErrorChain;
use crate::model::outbox::{DeliveryOutcome, RetryReason};
use crate::model::time::Timestamp;

/// The name of an answer.
pub(super) fn outcome_of(error: Option<&ClerkApiError>) -> RequestOutcome {
    match error.map(ClerkApiError::disposition) {
        None => RequestOutcome::Delivered,
        Some(Disposition::UserGone) => RequestOutcome::UserGone,
        Some(Disposition::Throttled(_)) => RequestOutcome::Throttled,
        Some(Disposition::KeyRefused) => RequestOutcome::KeyRefused,
        Some(Disposition::Retry) => RequestOutcome::Retry,
        Some(Disposition::Park) => RequestOutcome::Parked,
    }
}

/// | answer | outcome | again | charged as a failed attempt |
/// | --- | --- | --- | --- |
/// | success | delivered | – | – |
/// | user unknown | `user_gone` | after backoff, if the user was mirrored meanwhile | yes |
/// | throttled, key refused | retry | when the gate opens | no: says nothing about this user |
/// | no answer, conflict, server error | retry | after backoff | yes |
/// | content refused | parked | – | yes |
pub(super) fn judge(error: Option<&ClerkApiError>, again_at: Timestamp) -> DeliveryOutcome {
    let Some(error) = error else {
        return DeliveryOutcome::Delivered;
    };
    let text = ErrorChain(error).to_string();
    let retry = |because| DeliveryOutcome::Retry {
        at: again_at,
        because,
        error: text.clone(),
    };
    match error.disposition() {
        Disposition::UserGone => DeliveryOutcome::UserGone {
            again_at,
            error: text,
        },
        Disposition::Throttled(_) => retry(RetryReason::Throttled),
        Disposition::KeyRefused => retry(RetryReason::KeyRefused),
        Disposition::Retry => retry(RetryReason::Failed),
        Disposition::Park => DeliveryOutcome::Parked { error: text },
    }
}
