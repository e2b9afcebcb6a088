//! What a verified request tells beside its event.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, USER_AGENT};

use super::{Claim, single_header};
use crate::model::headers::{KeptHeader, KeptHeaders};
use crate::model::trace::TraceContext;

/// What is kept of the headers.
pub(super) fn kept(headers: &HeaderMap, claim: &Claim, secret: &str) -> KeptHeaders {
    let (signed, signed_at) = match claim {
        Claim::Clerk(claim) => (KeptHeader::SvixTimestamp, claim.timestamp()),
        Claim::Stripe(claim) => (KeptHeader::StripeTimestamp, claim.timestamp()),
    };
    let signed_at = signed_at.to_string();
    let own = [
        (signed, signed_at.as_bytes()),
        (KeptHeader::Secret, secret.as_bytes()),
    ];
    let theirs = [
        (KeptHeader::ContentType, CONTENT_TYPE),
        (KeptHeader::UserAgent, USER_AGENT),
    ];
    let theirs = theirs.into_iter().filter_map(|(header, name)| {
        let value = headers.get(name)?;
        Some((header, value.as_bytes()))
    });
    KeptHeaders::of(own.into_iter().chain(theirs))
}

/// The trace that the sender has begun, if it says so in the form of the standard, once.
pub(super) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let value = single_header(headers, "traceparent").ok()??;
    TraceContext::parse(value)
}
