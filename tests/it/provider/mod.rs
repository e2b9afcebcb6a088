//! Both signature schemes, and what is read of a verified body.

use std::time::Duration;

use bytes::Bytes;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::{Rejection, UnverifiedWebhook, VerifiedWebhook, Verifier, verify};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

mod bit_flips;
mod envelope;
mod headers;
mod kept;
mod known_answers;

const TOLERANCE: Duration = Duration::from_secs(300);

const SVIX_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STRIPE_SECRET: &str = "whsec_test_secret";

fn verifier(provider: Provider, secrets: &[&str]) -> Verifier {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    Verifier::new(provider.into(), &secrets, TOLERANCE).unwrap()
}

/// The whole way of a request: claim, then signature.
fn receive(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
    now: Timestamp,
) -> Result<VerifiedWebhook, Rejection> {
    let claim = verifier.read_claim(headers, now)?;
    let webhook = UnverifiedWebhook {
        claim,
        headers,
        body: body.into(),
        received_at: now,
    };
    verify(verifier, webhook)
}

fn header_map<'a>(headers: impl IntoIterator<Item = (&'static str, &'a [u8])>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).unwrap(),
        );
    }
    map
}

fn svix_headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
    header_map([
        ("svix-id", id.as_bytes()),
        ("svix-timestamp", timestamp.as_bytes()),
        ("svix-signature", signature.as_bytes()),
    ])
}

fn stripe_headers(signature: &str) -> HeaderMap {
    header_map([("stripe-signature", signature.as_bytes())])
}

/// The stable word for a rejection, as the fixtures write it.
fn word(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::MissingHeader { .. } => "missing_header",
        Rejection::MalformedHeader { .. } => "malformed_header",
        Rejection::OutOfTolerance { .. } => "out_of_tolerance",
        Rejection::SignatureMismatch { .. } => "signature_mismatch",
    }
}
