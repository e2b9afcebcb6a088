//! From bytes to trust, and from trust to meaning.
//!
//! Actors: an [`UnverifiedWebhook`] is what anyone on the network can send. [`verify`] checks its
//! signature and is the only way to a [`VerifiedWebhook`]; only that can become an [`Event`] for the
//! queue. Verification happens once, at ingress: workers, retries and replays are older than any
//! tolerance and never verify again.
//!
//! Guaranteed: the bytes of the event are exactly the bytes that were signed. NOT guaranteed: that
//! they are JSON, or of a type we know; the worker decides about that.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::model::event::{Event, EventId, EventKey, EventType, Trigger};
use crate::model::source::{Provider, Source};
use crate::model::time::Timestamp;

pub mod clerk;
mod context;
mod envelope;
pub mod payload;
pub mod stripe;

/// The names of the headers that can hold a signature, for messages to people.
const fn signature_header(provider: Provider) -> &'static str {
    match provider {
        Provider::Clerk => "svix-signature",
        Provider::Stripe => "stripe-signature",
    }
}

/// Why text cannot be used as a signing secret. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// It does not begin as signing secrets do.
    #[error("does not begin with `whsec_`")]
    NoPrefix,
    /// Nothing follows the prefix, so anyone could sign with it.
    #[error("has nothing after `whsec_`")]
    Empty,
    /// Svix secrets are base64 after the prefix, and this is not.
    #[error("is not base64 after `whsec_`: copy it again, whole")]
    NotBase64,
    /// It holds white space or other characters that no secret has.
    #[error("holds a space or another character that no signing secret has: copy it again")]
    StrayCharacter,
}

/// A signing key of either scheme.
enum Key {
    Clerk(clerk::signature::Key),
    Stripe(stripe::signature::Key),
}

impl Key {
    fn parse(provider: Provider, secret: &str) -> Result<Self, SecretProblem> {
        let rest = secret
            .strip_prefix("whsec_")
            .ok_or(SecretProblem::NoPrefix)?;
        if rest.is_empty() {
            return Err(SecretProblem::Empty);
        }
        if !rest.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(SecretProblem::StrayCharacter);
        }
        match provider {
            Provider::Clerk => clerk::signature::Key::parse(secret).map(Self::Clerk),
            Provider::Stripe => Ok(Self::Stripe(stripe::signature::Key::new(secret))),
        }
    }
}

/// Tells whether text can be used as a signing secret of this provider.
///
/// # Errors
///
/// Says what is wrong with it, without quoting it.
pub fn check_secret(provider: Provider, secret: &str) -> Result<(), SecretProblem> {
    Key::parse(provider, secret).map(|_| ())
}

/// Signs a body as the provider would: the headers of one delivery attempt at `now`.
///
/// # Errors
///
/// When the secret cannot be used.
pub fn sign(
    provider: Provider,
    secret: &SecretString,
    id: &EventId,
    now: Timestamp,
    body: &[u8],
) -> Result<HeaderMap, SecretProblem> {
    match Key::parse(provider, secret.expose_secret())? {
        Key::Clerk(key) => Ok(clerk::signature::sign(
            &key,
            id.as_str(),
            now.as_seconds(),
            body,
        )),
        Key::Stripe(key) => Ok(stripe::signature::sign(&key, now.as_seconds(), body)),
    }
}

/// All that is needed to tell authentic webhooks of one source from others.
pub struct Verifier {
    source: Source,
    keys: Vec<Key>,
    /// What each is called where the secret itself must not stand.
    labels: Vec<String>,
    tolerance: Duration,
}

impl Verifier {
    /// A verifier that accepts what is signed with any of `secrets` not longer than `tolerance` ago
    /// nor further than that in the future. Without secrets it accepts nothing.
    ///
    /// # Errors
    ///
    /// When a secret cannot be used.
    pub fn new(
        source: Source,
        secrets: &[SecretString],
        tolerance: Duration,
    ) -> Result<Self, SecretProblem> {
        let keys = secrets
            .iter()
            .map(|secret| Key::parse(source.provider, secret.expose_secret()))
            .collect::<Result<_, _>>()?;
        let labels = secrets.iter().enumerate();
        let labels = labels.map(|(place, secret)| label(place, secret)).collect();
        Ok(Self {
            source,
            keys,
            labels,
            tolerance,
        })
    }

    /// What each secret is called in figures and records, in their order: its place, counted from 1,
    /// and the beginning of its hash. The place tells people which one is meant, the hash tells a new
    /// one from the one that stood there before.
    pub fn secret_labels(&self) -> &[String] {
        &self.labels
    }

    /// The source whose webhooks it verifies.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether there is any secret to verify with.
    pub fn is_configured(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Reads what the headers claim, and refuses what no body could cure, so that nobody has to
    /// wait for the body of a request that is refused anyway.
    ///
    /// # Errors
    ///
    /// When a header is missing, repeated or malformed, or the claimed time is out of tolerance.
    pub fn read_claim(&self, headers: &HeaderMap, now: Timestamp) -> Result<Claim, Rejection> {
        let claim = match self.source.provider {
            Provider::Clerk => Claim::Clerk(clerk::signature::Claim::read(headers)?),
            Provider::Stripe => Claim::Stripe(stripe::signature::Claim::read(headers)?),
        };
        let signed_at = match &claim {
            Claim::Clerk(claim) => claim.timestamp(),
            Claim::Stripe(claim) => claim.timestamp(),
        };
        let age = now.as_seconds().abs_diff(signed_at);
        if age > self.tolerance.as_secs() {
            return Err(Rejection::OutOfTolerance {
                tolerance: self.tolerance,
            });
        }
        Ok(claim)
    }
}

/// 24 bits of a hash are too few to find a secret by, and enough to tell two apart.
fn label(place: usize, secret: &SecretString) -> String {
    let digest = Sha256::digest(secret.expose_secret().as_bytes());
    format!("{}-{}", place + 1, hex::encode(&digest[..3]))
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("source", &self.source)
            .field("keys", &self.keys.len())
            .field("tolerance", &self.tolerance)
            .finish()
    }
}

/// What the headers of a request claim. Nothing of it is trusted.
#[derive(Debug)]
pub enum Claim {
    /// By Svix' scheme.
    Clerk(clerk::signature::Claim),
    /// By Stripe's scheme.
    Stripe(stripe::signature::Claim),
}

/// A request as anyone can send it.
#[derive(Debug)]
pub struct UnverifiedWebhook<'r> {
    /// What its headers claim.
    pub claim: Claim,
    /// All its headers, of which a few are kept once it is verified.
    pub headers: &'r HeaderMap,
    /// Its body, untouched.
    pub body: Bytes,
    /// When it came.
    pub received_at: Timestamp,
}

/// A request that the provider has signed. Made by [`verify`] and by nothing else.
#[derive(Debug)]
pub struct VerifiedWebhook {
    event: Event,
    secret_index: usize,
}

impl VerifiedWebhook {
    /// The event in it.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The event in it, for the queue.
    pub fn into_event(self) -> Event {
        self.event
    }

    /// Which of the configured secrets matched, counted from 0: an old one that no longer matches
    /// anything can be removed.
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }
}

/// Checks the signature over the exact bytes of the body with every secret in turn, in constant
/// time for each.
///
/// What is authentic is never refused for its content: a body that is not JSON, or names no usable
/// id or type, becomes an event of type `unknown` or with an id derived from its bytes.
///
/// # Errors
///
/// When no secret matches.
pub fn verify(
    verifier: &Verifier,
    webhook: UnverifiedWebhook<'_>,
) -> Result<VerifiedWebhook, Rejection> {
    let UnverifiedWebhook {
        claim,
        headers,
        body,
        received_at,
    } = webhook;
    let secret_index = verifier
        .keys
        .iter()
        .position(|key| match (key, &claim) {
            (Key::Clerk(key), Claim::Clerk(claim)) => key.matches(claim, &body),
            (Key::Stripe(key), Claim::Stripe(claim)) => key.matches(claim, &body),
            (Key::Clerk(_), Claim::Stripe(_)) | (Key::Stripe(_), Claim::Clerk(_)) => false,
        })
        .ok_or(Rejection::SignatureMismatch {
            header: signature_header(verifier.source.provider),
        })?;

    let envelope = envelope::peek(&body);
    let id = match &claim {
        Claim::Clerk(claim) => EventId::parse(claim.id()),
        Claim::Stripe(_) => envelope.id.as_deref().and_then(EventId::parse),
    };
    let event = Event {
        key: EventKey {
            source: verifier.source.name.clone(),
            id: id.unwrap_or_else(|| EventId::of_body(&body)),
        },
        event_type: envelope
            .event_type
            .as_deref()
            .and_then(EventType::parse)
            .unwrap_or_else(EventType::unknown),
        received_at,
        trigger: Trigger::Webhook,
        headers: context::kept(headers, &claim, &verifier.labels[secret_index]),
        trace: context::trace(headers),
        body,
    };
    Ok(VerifiedWebhook {
        event,
        secret_index,
    })
}

/// Why a request is not accepted. The texts go to the sender: they tell how to mend an honest
/// mistake and nothing that would help to forge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header that the scheme needs is not there.
    #[error("the header `{header}` is missing")]
    MissingHeader {
        /// Which.
        header: &'static str,
    },
    /// A header that the scheme needs cannot be read.
    #[error("the header `{header}` {problem}")]
    MalformedHeader {
        /// Which.
        header: &'static str,
        /// What is wrong, to be read after the header's name.
        problem: &'static str,
    },
    /// The claimed time is too far from ours.
    #[error(
        "the signature's timestamp is more than {} seconds away from this server's time",
        tolerance.as_secs()
    )]
    OutOfTolerance {
        /// How far it may be.
        tolerance: Duration,
    },
    /// No signature matches.
    #[error(
        "no signature in `{header}` matches this body: check that the signing secret belongs to \
         this endpoint and that nothing rewrites the body on its way"
    )]
    SignatureMismatch {
        /// Where the signatures stand.
        header: &'static str,
    },
}

/// The only value of a header: present once, visible ASCII.
fn single_header<'a>(
    headers: &'a HeaderMap,
    header: &'static str,
) -> Result<Option<&'a str>, Rejection> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Rejection::MalformedHeader {
            header,
            problem: "is there more than once",
        });
    }
    let text = value.to_str().map_err(|_| Rejection::MalformedHeader {
        header,
        problem: "holds characters other than visible ASCII",
    })?;
    Ok(Some(text))
}

/// Reads whole seconds since the Unix epoch in their one canonical form: what differs from it by a
/// sign, a zero or a space could not have been signed, as the signature covers the digits.
fn canonical_seconds(text: &str) -> Option<i64> {
    let seconds: i64 = text.parse().ok()?;
    (seconds.to_string() == text).then_some(seconds)
}
