//! Other people in the same text: finds ids and e-mail addresses in a payload and replaces them.
//!
//! It works on the text, not on parsed JSON, so that all that is not replaced keeps its bytes: the
//! order of keys, the spelling of numbers, white space. Ids within other text (an address, a
//! `client_secret`) are found as well.
//!
//! What counts as an id: a prefix from the two lists below and letters or digits, at least one of
//! them a digit or a capital, as in everything that Clerk and Stripe give out. That tells
//! `user_2g7np7` from `user_created` and `in_1J02Ne` from `in_transit`. Ids made up by hand, such as
//! `user_ada`, are found wherever they stand if one file has them under a key that says so: `id`,
//! `…_id`, `…Id`.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The prefixes of Clerk's ids that stand for a person or an event. Not among them, nor among
/// Stripe's, are those that every generation shares: instances (`ins_`), organisations (`org_`),
/// accounts (`acct_`), products (`prod_`), prices (`price_`) and the like.
const CLERK_PREFIXES: &str =
    "user_ sess_ client_ idn_ ema_ sms_ msg_ orgmem_ orginv_ eac_ activity_ passkey_";
/// The prefixes of Stripe's ids that stand for a person, an event, or an object of one payment.
const STRIPE_PREFIXES: &str = "evt_ req_ cus_ cs_ cs_test_ cs_live_ pi_ seti_ ch_ py_ pyr_ re_ \
     dp_ du_ sub_ sub_sched_ si_ in_ inpay_ ii_ il_ li_ txn_ pm_ card_ ba_ src_ tok_ cn_";

/// More than enough for a name that no other shares: 24 of 62 characters.
const LETTERS: usize = 24;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Letters and digits that stand for `old` in a generation.
pub(super) fn letters(seed: u64, generation: u64, old: &[u8]) -> String {
    digest(seed, generation, old)
        .iter()
        .take(LETTERS)
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

fn digest(seed: u64, generation: u64, old: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(generation.to_be_bytes())
        .chain_update(old)
        .finalize()
        .into()
}

/// The values that a payload has under keys that say that they are ids. Nothing, if it is not JSON.
pub(super) fn named_ids(body: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Ok(value) = serde_json::from_slice(body) {
        collect_named(&value, &mut names);
    }
    names
}

fn collect_named(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if says_id(key) && is_prefixed_token(text) => {
                        names.insert(text.clone());
                    }
                    _ => collect_named(value, names),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_named(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn says_id(key: &str) -> bool {
    key == "id" || key.ends_with("_id") || key.ends_with("Id")
}

fn is_prefixed_token(text: &str) -> bool {
    text.bytes().all(is_token_byte)
        && prefix_of(text.as_bytes()).is_some_and(|prefix| prefix.len() < text.len())
}

fn prefix_of(token: &[u8]) -> Option<&'static str> {
    CLERK_PREFIXES
        .split(' ')
        .chain(STRIPE_PREFIXES.split(' '))
        .filter(|prefix| token.starts_with(prefix.as_bytes()))
        .max_by_key(|prefix| prefix.len())
}

/// A payload, taken apart once so that it can be told anew many times.
pub(super) struct Text {
    body: Bytes,
    /// What to replace, in the order of the text.
    places: Vec<Place>,
}

struct Place {
    at: Range<usize>,
    kind: Kind,
}

enum Kind {
    Id { prefix: &'static str },
    Address { local: usize },
}

impl Text {
    /// Finds what to replace. `names` are the ids that are known without looking like ids.
    pub(super) fn new(body: Bytes, names: &BTreeSet<String>) -> Self {
        let mut places = Vec::new();
        let mut at = 0;
        while at < body.len() {
            let rest = &body[at..];
            let width = match rest[0] {
                // The character after it is part of the escape, not of a name.
                b'\\' if rest.get(1) == Some(&b'u') => 6,
                b'\\' => 2,
                _ => {
                    let run = length(rest, is_address_byte);
                    find_in_run(&body, at..at + run, names, &mut places);
                    run.max(1)
                }
            };
            at += width;
        }
        Self { body, places }
    }

    /// The text as it reads in a generation.
    pub(super) fn in_generation(&self, seed: u64, generation: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + self.places.len() * LETTERS);
        let mut copied = 0;
        for Place { at, kind } in &self.places {
            out.extend_from_slice(&self.body[copied..at.start]);
            let old = &self.body[at.clone()];
            match kind {
                Kind::Id { prefix } => {
                    out.extend_from_slice(prefix.as_bytes());
                    out.extend_from_slice(letters(seed, generation, old).as_bytes());
                }
                Kind::Address { local } => {
                    // Addresses that differ in case only are the same person's.
                    let tag = digest(seed, generation, &old.to_ascii_lowercase());
                    let tag = format!("+{generation}.{}", hex::encode(&tag[..4]));
                    out.extend_from_slice(&old[..*local]);
                    out.extend_from_slice(tag.as_bytes());
                    out.extend_from_slice(&old[*local..]);
                }
            }
            copied = at.end;
        }
        out.extend_from_slice(&self.body[copied..]);
        out
    }
}

/// Looks at an unbroken run of characters that addresses and ids are made of.
fn find_in_run(body: &[u8], run: Range<usize>, names: &BTreeSet<String>, places: &mut Vec<Place>) {
    let text = &body[run.clone()];
    if let Some((local, length)) = address(text) {
        places.push(Place {
            at: run.start..run.start + length,
            kind: Kind::Address { local },
        });
        return;
    }
    let mut at = 0;
    while at < text.len() {
        let token = &text[at..at + length(&text[at..], is_token_byte)];
        if let Some((prefix, length)) = id(token, names) {
            let start = run.start + at;
            places.push(Place {
                at: start..start + length,
                kind: Kind::Id { prefix },
            });
        }
        at += token.len().max(1);
    }
}

/// The lengths of the part before the `@` and of the whole, if the run is an e-mail address; a full
/// stop after it is not part of it.
fn address(run: &[u8]) -> Option<(usize, usize)> {
    let mut parts = run.split(|byte| *byte == b'@');
    let (local, domain) = (parts.next()?, parts.next()?);
    if parts.next().is_some() || local.is_empty() {
        return None;
    }
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let last = labels.next()?;
    let second_last = labels.next()?;
    let fits = last.len() >= 2
        && last
            .iter()
            .all(|b| b.is_ascii_alphabetic() || !b.is_ascii())
        && !second_last.is_empty()
        && !domain.iter().any(|b| matches!(b, b'_' | b'%' | b'+'));
    fits.then_some((local.len(), local.len() + 1 + domain.len()))
}

/// The prefix and the length of the id that a token is or begins with.
fn id(token: &[u8], names: &BTreeSet<String>) -> Option<(&'static str, usize)> {
    let prefix = prefix_of(token)?;
    let rest = &token[prefix.len()..];
    let unique = &rest[..length(rest, |b| b.is_ascii_alphanumeric())];
    if unique
        .iter()
        .any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    {
        return Some((prefix, prefix.len() + unique.len()));
    }
    let named = str::from_utf8(token).is_ok_and(|token| names.contains(token));
    named.then_some((prefix, token.len()))
}

fn length(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(**byte)).count()
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_address_byte(byte: u8) -> bool {
    is_token_byte(byte) || !byte.is_ascii() || matches!(byte, b'@' | b'.' | b'-' | b'+' | b'%')
}
