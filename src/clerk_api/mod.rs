//! Clerk's Backend API, as far as it is used: merging a user's public metadata.
//!
//! Facts from Clerk's OpenAPI (Backend API, `PATCH /users/{id}/metadata`) and its "system limits"
//! page: the merge is deep, `null` removes a key, and the answer to too many requests carries
//! `Retry-After` and holds for the whole endpoint.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::trace::TraceContext;
use crate::model::user::UserId;

pub mod http;

/// Another request is changing the same user.
const RESOURCE_LOCKED: &str = "resource_locked";
/// The answer has no code of Clerk's: it may be of something in between.
const NO_CODE: &str = "no_code";

/// The part of Clerk that is written to.
#[async_trait]
pub trait ClerkApi: Debug + Send + Sync {
    /// Merges `public_metadata` into the user's. If this returns `Ok`, Clerk has confirmed it; doing
    /// it again changes nothing. `trace` is the span of this call, for whoever traces on the way.
    ///
    /// # Errors
    ///
    /// Says with [`ClerkApiError::disposition`] what to do next. Except for a refusal, the write may
    /// have happened all the same.
    async fn merge_public_metadata(
        &self,
        user: &UserId,
        public_metadata: &Value,
        trace: Option<TraceContext>,
    ) -> Result<(), ClerkApiError>;
}

/// What to do after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Try this user again later.
    Retry,
    /// Send nothing to anyone for this long (or, if Clerk did not say, for a while).
    Throttled(Option<Duration>),
    /// The user does not exist: nothing to do.
    UserGone,
    /// The key is not accepted: every other call would fail too.
    KeyRefused,
    /// Clerk does not accept this content: trying again would not help.
    Park,
}

/// A call that was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ClerkApiError {
    /// No answer came: connection refused, cut, or too slow.
    #[error("Clerk's API did not answer")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The id cannot stand in an address, so nothing was sent.
    #[error("the user's id cannot stand in an address of Clerk's API")]
    Unaddressable,
    /// Clerk answered with something other than success.
    #[error("Clerk's API answered {status} ({code})")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// Clerk's error code, or `no_code`. Never more of the answer: it can quote the user.
        code: String,
        /// `Retry-After`, if there was one.
        retry_after: Option<Duration>,
    },
}

impl ClerkApiError {
    /// What to do next. 409 is `resource_locked`, a passing conflict, unless Clerk says otherwise
    /// (`user_managed_by_scim` stays as it is until someone changes it at Clerk); 422 and other refusals
    /// of the content are for a person. 404 denies the user only in Clerk's own words.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NoAnswer(_) => Disposition::Retry,
            Self::Unaddressable => Disposition::Park,
            Self::Answered {
                status,
                code,
                retry_after,
            } => match status {
                429 => Disposition::Throttled(*retry_after),
                401 | 403 => Disposition::KeyRefused,
                // A wrong CLERK_API_URL, or a proxy: without a code it says nothing about the user.
                404 if code == NO_CODE => Disposition::Retry,
                404 => Disposition::UserGone,
                409 if !matches!(code.as_str(), RESOURCE_LOCKED | NO_CODE) => Disposition::Park,
                // A redirect is a wrong CLERK_API_URL: no fault of the content.
                300..=399 | 408 | 409 | 425 | 500..=599 => Disposition::Retry,
                _ => Disposition::Park,
            },
        }
    }
}
