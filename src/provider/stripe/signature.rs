//! Stripe's signature scheme, version 1.
//!
//! Source: Stripe documentation, "Webhooks", "Verify webhook signatures manually". The header reads
//! `t=<seconds>,v1=<hex>[,v1=<hex>…][,v0=…]`; the MAC is HMAC-SHA256 over `{t}.{body}`, keyed with
//! the *whole* secret, `whsec_` included. One matching `v1` is enough (there is one for each active
//! secret while a secret is rolled), other schemes are ignored. Stripe's own libraries refuse only
//! old timestamps; we refuse future ones as well.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::super::{Rejection, canonical_seconds, single_header};

const HEADER: &str = "stripe-signature";
const MAC_BYTES: usize = 32;
/// More signatures than any rotation produces; each one costs a comparison only, not a MAC.
const MAX_SIGNATURES: usize = 16;

/// A secret, ready to compute MACs with.
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Takes the whole secret as it is.
    pub fn new(secret: &str) -> Self {
        Self(mac_keyed_with(secret.as_bytes()))
    }

    /// Whether one of the claimed signatures is this key's over this body.
    pub fn matches(&self, claim: &Claim, body: &[u8]) -> bool {
        let mac = self.mac(claim.timestamp, body);
        // No early exit: how long it takes says nothing about which signature matched.
        claim.signatures.iter().fold(false, |matched, signature| {
            matched | mac.clone().verify_slice(signature).is_ok()
        })
    }

    fn mac(&self, seconds: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(seconds.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of any length; the error type is shared with MACs that do not"
)]
fn mac_keyed_with(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// What the header claims.
#[derive(Debug)]
pub struct Claim {
    timestamp: i64,
    signatures: Vec<[u8; MAC_BYTES]>,
}

impl Claim {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// When it is missing, repeated or malformed, or holds no readable `v1` signature.
    pub fn read(headers: &HeaderMap) -> Result<Self, Rejection> {
        let text =
            single_header(headers, HEADER)?.ok_or(Rejection::MissingHeader { header: HEADER })?;
        let malformed = |problem| Rejection::MalformedHeader {
            header: HEADER,
            problem,
        };

        let mut timestamp = None;
        let mut signatures = Vec::new();
        for part in text.split(',') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| malformed("is not a list of `name=value`"))?;
            match name {
                "t" if timestamp.is_some() => return Err(malformed("holds two timestamps")),
                "t" => {
                    let seconds = canonical_seconds(value)
                        .ok_or_else(|| malformed("holds a timestamp that is not whole seconds"))?;
                    timestamp = Some(seconds);
                }
                "v1" if signatures.len() < MAX_SIGNATURES => signatures.extend(decode_mac(value)),
                _ => {}
            }
        }
        let timestamp = timestamp.ok_or_else(|| malformed("holds no timestamp"))?;
        if signatures.is_empty() {
            return Err(malformed("holds no readable `v1` signature"));
        }
        Ok(Self {
            timestamp,
            signatures,
        })
    }

    /// Seconds since the Unix epoch at which this attempt claims to have been signed.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }
}

/// Lower-case hex of the right length, as Stripe writes it; anything else is no signature.
fn decode_mac(text: &str) -> Option<[u8; MAC_BYTES]> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut mac = [0; MAC_BYTES];
    hex::decode_to_slice(text, &mut mac).ok()?;
    Some(mac)
}

/// The header of one delivery attempt.
pub fn sign(key: &Key, seconds: i64, body: &[u8]) -> HeaderMap {
    let mac = hex::encode(key.mac(seconds, body).finalize().into_bytes());
    HeaderValue::from_str(&format!("t={seconds},v1={mac}"))
        .into_iter()
        .map(|value| (HeaderName::from_static(HEADER), value))
        .collect()
}
