//! Svix' signature scheme, "Standard Webhooks".
//!
//! Source: Svix documentation, "Verifying payloads, manually"; Standard Webhooks specification.
//! The MAC is HMAC-SHA256 over `{id}.{timestamp}.{body}`, keyed with the base64-decoded secret. The
//! `svix` crate computes and compares it. Around it stand our own checks, because the crate reads
//! the machine's clock, takes the first of repeated headers, and takes any integer for a timestamp.

use http::{HeaderMap, HeaderName, HeaderValue};
use svix::webhooks::Webhook;

use super::super::{Rejection, SecretProblem, canonical_seconds, single_header};

const ID: HeaderName = HeaderName::from_static("svix-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("svix-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("svix-signature");

/// A decoded secret.
pub struct Key(Webhook);

impl Key {
    /// Decodes `whsec_` and base64.
    ///
    /// # Errors
    ///
    /// When it is not base64, or empty.
    pub fn parse(secret: &str) -> Result<Self, SecretProblem> {
        use svix::webhooks::WebhookError;
        Webhook::new(secret).map(Self).map_err(|error| match error {
            WebhookError::EmptySecret => SecretProblem::Empty,
            _ => SecretProblem::NotBase64,
        })
    }

    /// Whether one of the claimed signatures is this key's over this body. A body that is not UTF-8
    /// matches nothing: Svix signs text only.
    pub fn matches(&self, claim: &Claim, body: &[u8]) -> bool {
        self.0
            .verify_ignoring_timestamp(body, &claim.headers)
            .is_ok()
    }
}

/// What the three headers claim.
#[derive(Debug)]
pub struct Claim {
    id: String,
    timestamp: i64,
    /// The same, under the names and in the number that the `svix` crate expects.
    headers: HeaderMap,
}

impl Claim {
    /// Reads the three headers, each under Svix' name or the unbranded one.
    ///
    /// # Errors
    ///
    /// When one is missing, repeated or malformed.
    pub fn read(headers: &HeaderMap) -> Result<Self, Rejection> {
        let id = either(headers, "svix-id", "webhook-id")?;
        let timestamp = either(headers, "svix-timestamp", "webhook-timestamp")?;
        let signature = either(headers, "svix-signature", "webhook-signature")?;

        // The specification keeps dots out of ids, so that the dots of the signed text are
        // unambiguous.
        if id.1.is_empty()
            || id.1.len() > 255
            || !id.1.bytes().all(|b| b.is_ascii_graphic() && b != b'.')
        {
            return Err(Rejection::MalformedHeader {
                header: id.0,
                problem: "is not an id: 1 to 255 visible characters without a dot",
            });
        }
        let seconds = canonical_seconds(timestamp.1).ok_or(Rejection::MalformedHeader {
            header: timestamp.0,
            problem: "is not a whole number of seconds",
        })?;
        if signature.1.is_empty() {
            return Err(Rejection::MalformedHeader {
                header: signature.0,
                problem: "is empty",
            });
        }

        let canonical = [
            (ID, id.1),
            (TIMESTAMP, timestamp.1),
            (SIGNATURE, signature.1),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?)))
        .collect();
        Ok(Self {
            id: id.1.to_owned(),
            timestamp: seconds,
            headers: canonical,
        })
    }

    /// Seconds since the Unix epoch at which this attempt claims to have been signed.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The message id: the same for every attempt at the same event.
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn either<'a>(
    headers: &'a HeaderMap,
    branded: &'static str,
    unbranded: &'static str,
) -> Result<(&'static str, &'a str), Rejection> {
    if let Some(value) = single_header(headers, branded)? {
        return Ok((branded, value));
    }
    if let Some(value) = single_header(headers, unbranded)? {
        return Ok((unbranded, value));
    }
    Err(Rejection::MissingHeader { header: branded })
}

/// The headers of one delivery attempt. An id, body or time that cannot be signed (Svix signs text
/// only) gives headers without a signature, which no verifier accepts.
pub fn sign(key: &Key, id: &str, seconds: i64, body: &[u8]) -> HeaderMap {
    let signature = key.0.sign(id, seconds, body).unwrap_or_default();
    [
        (ID, id.to_owned()),
        (TIMESTAMP, seconds.to_string()),
        (SIGNATURE, signature),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text).ok()?)))
    .collect()
}
