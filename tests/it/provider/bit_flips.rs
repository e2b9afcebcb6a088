//! No single bit of what is signed, or of the signature, can be changed.

use std::time::Duration;

use hookmirror::model::event::EventId;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::{Verifier, sign};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::{STRIPE_SECRET, SVIX_SECRET, receive};

/// One signed message, and a verifier that minds no age: only the MAC can refuse it.
struct Message {
    verifier: Verifier,
    headers: HeaderMap,
    body: Vec<u8>,
    now: Timestamp,
}

impl Message {
    fn new(provider: Provider, id: &str, seconds: i64, body: &[u8]) -> Self {
        let secret = match provider {
            Provider::Clerk => SVIX_SECRET,
            Provider::Stripe => STRIPE_SECRET,
        };
        let now = Timestamp::from_seconds(seconds);
        let id = EventId::parse(id).unwrap();
        Self {
            verifier: Verifier::new(
                provider.into(),
                &[secret.into()],
                Duration::from_secs(u64::MAX),
            )
            .unwrap(),
            headers: sign(provider, &secret.into(), &id, now, body).unwrap(),
            body: body.to_vec(),
            now,
        }
    }

    fn is_accepted(&self) -> bool {
        receive(&self.verifier, &self.headers, self.body.clone(), self.now).is_ok()
    }

    /// How many bits there are to flip: those of the headers' values, then those of the body.
    fn bits(&self) -> usize {
        let headers: usize = self.headers.values().map(HeaderValue::len).sum();
        (headers + self.body.len()) * 8
    }

    /// Whether the message with one bit flipped is refused. What HTTP itself would not carry is.
    fn refuses_flip(&self, bit: usize) -> bool {
        let (mut byte, mask) = (bit / 8, 1 << (bit % 8));
        let mut headers = self.headers.clone();
        for value in headers.values_mut() {
            if byte < value.len() {
                let mut bytes = value.as_bytes().to_vec();
                bytes[byte] ^= mask;
                let Ok(flipped) = HeaderValue::from_bytes(&bytes) else {
                    return true;
                };
                *value = flipped;
                return receive(&self.verifier, &headers, self.body.clone(), self.now).is_err();
            }
            byte -= value.len();
        }
        let mut body = self.body.clone();
        body[byte] ^= mask;
        receive(&self.verifier, &headers, body, self.now).is_err()
    }
}

#[test]
fn every_bit_counts() {
    for provider in Provider::ALL {
        let body = br#"{"id":"evt_1","type":"user.updated","data":{"id":"user_1"}}"#;
        let message = Message::new(
            provider,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_795_000_000,
            body,
        );
        assert!(message.is_accepted(), "{provider}");
        let passed: Vec<usize> = (0..message.bits())
            .filter(|bit| !message.refuses_flip(*bit))
            .collect();
        assert_eq!(passed, [0_usize; 0], "{provider}: bits that may be flipped");
    }
}

proptest! {
    #[test]
    fn any_bit_of_any_svix_message_counts(
        id in "[a-zA-Z0-9_-]{1,40}",
        seconds in 0_i64..4_000_000_000,
        body in ".{0,200}",
        bit in any::<prop::sample::Index>(),
    ) {
        let message = Message::new(Provider::Clerk, &id, seconds, body.as_bytes());
        prop_assert!(message.is_accepted());
        prop_assert!(message.refuses_flip(bit.index(message.bits())));
    }

    #[test]
    fn any_bit_of_any_stripe_message_counts(
        seconds in any::<i32>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        bit in any::<prop::sample::Index>(),
    ) {
        let message = Message::new(Provider::Stripe, "evt_1", seconds.into(), &body);
        prop_assert!(message.is_accepted());
        prop_assert!(message.refuses_flip(bit.index(message.bits())));
    }

    /// Nothing but the exact length is signed either.
    #[test]
    fn nothing_can_be_cut_off_or_added(
        body in "[a-z]{1,40}",
        cut in any::<prop::sample::Index>(),
        extra in "[a-z0-9. ]{1,5}",
    ) {
        for provider in Provider::ALL {
            let mut message = Message::new(provider, "msg_1", 1_795_000_000, body.as_bytes());
            message.body.truncate(cut.index(body.len()));
            prop_assert!(!message.is_accepted());
            message.body = format!("{body}{extra}").into_bytes();
            prop_assert!(!message.is_accepted());
            message.body = format!("{extra}{body}").into_bytes();
            prop_assert!(!message.is_accepted());
        }
    }
}
