//! Both signature headers: what is accepted, somebody else's verifier accepts as well.
//!
//! An input is header lines, an empty line, and a body.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hookmirror::model::event::EventId;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::{UnverifiedWebhook, Verifier, sign, verify};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use sha2::Sha256;
use svix::webhooks::Webhook;

use super::{Inputs, in_two, of_two};

const NOW: i64 = 1_795_000_000;
const TOLERANCE: u64 = 300;
const SECRETS: [&str; 2] = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_plJ3nmyCDGBKInavdOK15jsl",
];
const SVIX_WORDS: &[&str] = &[
    "svix-id: ",
    "svix-timestamp: ",
    "svix-signature: ",
    "webhook-id: ",
    "webhook-timestamp: ",
    "webhook-signature: ",
    "\n",
    "\n\n",
    "v1,",
    "v1a,",
    "v2,",
    " ",
    "=",
    "1795000000",
    "1794999699",
    "+",
    ".",
];
const STRIPE_WORDS: &[&str] = &[
    "stripe-signature: ",
    "t=",
    "t=1795000000",
    "v1=",
    "v0=",
    ",",
    "=",
    "\n",
    "\n\n",
    "t=1794999699,",
    "V1=",
    " ",
    "00",
];

fn verifier(provider: Provider) -> Verifier {
    let secrets = SECRETS.map(SecretString::from);
    Verifier::new(provider.into(), &secrets, Duration::from_secs(TOLERANCE)).unwrap()
}

/// Header lines as they are; what no HTTP server would let through is left out.
fn headers(lines: &[u8]) -> HeaderMap {
    lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            Some((name, value))
        })
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

fn is_accepted(verifier: &Verifier, headers: &HeaderMap, body: &[u8]) -> bool {
    let received_at = Timestamp::from_seconds(NOW);
    let Ok(claim) = verifier.read_claim(headers, received_at) else {
        return false;
    };
    let webhook = UnverifiedWebhook {
        claim,
        headers,
        body: Bytes::copy_from_slice(body),
        received_at,
    };
    match verify(verifier, webhook) {
        Ok(verified) => {
            assert_eq!(verified.event().body, body, "the bytes that were signed");
            true
        }
        Err(_) => false,
    }
}

/// A real delivery, by each of the secrets.
fn signed(provider: Provider) -> Vec<Vec<u8>> {
    let bodies = ["", "{}", r#"{"type":"user.updated"}"#, "{}", "1"];
    let id = EventId::parse("msg_1").unwrap();
    let now = Timestamp::from_seconds(NOW);
    bodies
        .into_iter()
        .zip(SECRETS.into_iter().cycle())
        .map(|(body, secret)| {
            let headers = sign(provider, &secret.into(), &id, now, body.as_bytes()).unwrap();
            let lines = headers.iter().map(|(name, value)| {
                let value = value.to_str().unwrap();
                format!("{name}: {value}\n")
            });
            of_two(lines.collect::<String>().trim_end(), body)
        })
        .collect()
}

/// Shows all inputs, and answers how many were accepted.
fn accepted(
    provider: Provider,
    inputs: Inputs,
    reference: impl Fn(&HeaderMap, &[u8]) -> bool,
) -> usize {
    let verifier = verifier(provider);
    let mut accepted = 0;
    inputs.each(|bytes| {
        let (lines, body) = in_two(bytes);
        let headers = headers(lines);
        if is_accepted(&verifier, &headers, body) {
            assert!(reference(&headers, body), "nobody else accepts this");
            accepted += 1;
        }
    });
    accepted
}

#[test]
fn what_is_accepted_of_clerk_is_accepted_by_svix() {
    let keys = SECRETS.map(|secret| Webhook::new(secret).unwrap());
    let seeds = signed(Provider::Clerk);
    let inputs = Inputs::new("clerk-signature", SVIX_WORDS, seeds);
    let accepted = accepted(Provider::Clerk, inputs, |headers, body| {
        let timestamp = ["svix-timestamp", "webhook-timestamp"];
        let seconds = timestamp.iter().find_map(|name| headers.get(*name));
        let seconds: i64 = seconds.unwrap().to_str().unwrap().parse().unwrap();
        let is_fresh = seconds.abs_diff(NOW) <= TOLERANCE;
        let verified = |key: &Webhook| key.verify_ignoring_timestamp(body, headers).is_ok();
        is_fresh && keys.iter().any(verified)
    });
    assert!(accepted > 5, "the form was lost: {accepted} accepted");
}

#[test]
fn what_is_accepted_of_stripe_has_the_right_mac() {
    let seeds = signed(Provider::Stripe);
    let inputs = Inputs::new("stripe-signature", STRIPE_WORDS, seeds);
    let accepted = accepted(Provider::Stripe, inputs, |headers, body| {
        let header = headers["stripe-signature"].to_str().unwrap();
        let value = |wanted: &str| {
            let parts = header.split(',').filter_map(|part| part.split_once('='));
            let values = parts.filter(|(name, _)| *name == wanted);
            values.map(|(_, value)| value.to_owned()).collect()
        };
        let [time] = <[String; 1]>::try_from(value("t")).unwrap();
        let is_fresh = time.parse::<i64>().unwrap().abs_diff(NOW) <= TOLERANCE;
        let claimed: Vec<String> = value("v1");
        let expected = SECRETS.map(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(time.as_bytes());
            mac.update(b".");
            mac.update(body);
            hex::encode(mac.finalize().into_bytes())
        });
        is_fresh && claimed.iter().any(|claim| expected.contains(claim))
    });
    assert!(accepted > 5, "the form was lost: {accepted} accepted");
}
