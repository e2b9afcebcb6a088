//! What the headers may and may not claim.

use hookmirror::model::event::EventId;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::{Rejection, SecretProblem, check_secret, sign};
use http::{HeaderMap, HeaderValue};

use super::{
    STRIPE_SECRET, SVIX_SECRET, header_map, receive, stripe_headers, svix_headers, verifier, word,
};

const NOW: i64 = 1_795_000_000;
const BODY: &str = r#"{"type":"user.updated"}"#;

fn secret(provider: Provider) -> &'static str {
    match provider {
        Provider::Clerk => SVIX_SECRET,
        Provider::Stripe => STRIPE_SECRET,
    }
}

fn signed(provider: Provider, seconds: i64) -> HeaderMap {
    sign(
        provider,
        &secret(provider).into(),
        &EventId::parse("msg_1").unwrap(),
        Timestamp::from_seconds(seconds),
        BODY.as_bytes(),
    )
    .unwrap()
}

fn verdict(provider: Provider, headers: &HeaderMap) -> &'static str {
    verdict_at(provider, headers, Timestamp::from_seconds(NOW))
}

fn verdict_at(provider: Provider, headers: &HeaderMap, now: Timestamp) -> &'static str {
    match receive(&verifier(provider, &[secret(provider)]), headers, BODY, now) {
        Ok(_) => "accepted",
        Err(rejection) => word(&rejection),
    }
}

#[test]
fn a_signature_is_good_for_five_minutes_in_both_directions() {
    for provider in Provider::ALL {
        for (offset, expected) in [
            (-301, "out_of_tolerance"),
            (-300, "accepted"),
            (0, "accepted"),
            (300, "accepted"),
            (301, "out_of_tolerance"),
            (86_400, "out_of_tolerance"),
        ] {
            let headers = signed(provider, NOW + offset);
            assert_eq!(verdict(provider, &headers), expected, "{provider} {offset}");
        }
    }
}

#[test]
fn the_ends_of_the_range_do_not_overflow() {
    for provider in Provider::ALL {
        for seconds in [i64::MIN, i64::MIN + 1, -1, i64::MAX] {
            let mut headers = signed(provider, NOW);
            match provider {
                Provider::Clerk => {
                    headers.insert("svix-timestamp", HeaderValue::from(seconds));
                }
                Provider::Stripe => {
                    let text = format!("t={seconds},v1={}", "0".repeat(64));
                    headers.insert("stripe-signature", HeaderValue::from_str(&text).unwrap());
                }
            }
            for now in [i64::MIN, -1, 0, NOW, i64::MAX] {
                let now = Timestamp::from_millis(now);
                let refused = verdict_at(provider, &headers, now);
                assert!(
                    ["out_of_tolerance", "signature_mismatch"].contains(&refused),
                    "{provider} {seconds} at {now:?}: {refused}"
                );
            }
        }
    }
}

#[test]
fn a_timestamp_has_one_form() {
    let digits = "1".repeat(400);
    for odd in [
        "",
        "+1795000000",
        "01795000000",
        " 1795000000",
        "1795000000 ",
        "1795000000.0",
        "1.795e9",
        "0x6afd2fc0",
        "-0",
        "now",
        "9223372036854775808",
        &digits,
    ] {
        let mut headers = signed(Provider::Clerk, NOW);
        headers.insert("svix-timestamp", HeaderValue::from_str(odd).unwrap());
        assert_eq!(
            verdict(Provider::Clerk, &headers),
            "malformed_header",
            "{odd}"
        );

        let text = format!("t={odd},v1={}", "0".repeat(64));
        let headers = stripe_headers(&text);
        assert_eq!(
            verdict(Provider::Stripe, &headers),
            "malformed_header",
            "{odd}"
        );
    }
}

#[test]
fn each_header_is_needed() {
    for provider in Provider::ALL {
        for name in signed(provider, NOW).keys() {
            let mut headers = signed(provider, NOW);
            headers.remove(name);
            assert_eq!(verdict(provider, &headers), "missing_header", "{name}");
        }
    }
}

/// Two values would leave open which of them was signed.
#[test]
fn no_header_may_be_repeated() {
    for provider in Provider::ALL {
        for (name, value) in &signed(provider, NOW) {
            for second in [value.clone(), HeaderValue::from_static("x")] {
                let mut headers = signed(provider, NOW);
                headers.append(name, second);
                assert_eq!(verdict(provider, &headers), "malformed_header", "{name}");
            }
        }
    }
}

#[test]
fn no_header_may_hold_other_than_ascii() {
    for provider in Provider::ALL {
        for name in signed(provider, NOW).keys() {
            for odd in [&b"\xff"[..], "é".as_bytes(), b"a\tb\x80"] {
                let mut headers = signed(provider, NOW);
                headers.insert(name, HeaderValue::from_bytes(odd).unwrap());
                assert_eq!(verdict(provider, &headers), "malformed_header", "{name}");
            }
        }
    }
}

/// Dots part the signed text, so an id with a dot could borrow from the timestamp.
#[test]
fn a_svix_id_is_visible_and_has_no_dot() {
    let long = "m".repeat(256);
    for odd in ["", "msg.1", "msg 1", "msg\t1", &long] {
        let mut headers = signed(Provider::Clerk, NOW);
        headers.insert("svix-id", HeaderValue::from_str(odd).unwrap());
        assert_eq!(
            verdict(Provider::Clerk, &headers),
            "malformed_header",
            "{odd}"
        );
    }
}

#[test]
fn svix_headers_are_taken_under_either_name_and_the_branded_one_wins() {
    let branded = signed(Provider::Clerk, NOW);
    let unbranded: HeaderMap = branded
        .iter()
        .map(|(name, value)| {
            let name = name.as_str().replace("svix-", "webhook-");
            (name.parse().unwrap(), value.clone())
        })
        .collect();
    assert_eq!(verdict(Provider::Clerk, &unbranded), "accepted");

    let mut both = branded;
    both.insert("webhook-signature", HeaderValue::from_static("v1,AAAA"));
    assert_eq!(verdict(Provider::Clerk, &both), "accepted");

    let mut both = unbranded;
    both.insert("svix-signature", HeaderValue::from_static("v1,AAAA"));
    assert_eq!(verdict(Provider::Clerk, &both), "signature_mismatch");
}

/// RUSTSEC-2024-0010: an empty signature once compared equal to any.
#[test]
fn an_empty_or_short_svix_signature_matches_nothing() {
    let whole = signed(Provider::Clerk, NOW)["svix-signature"].clone();
    let whole = whole.to_str().unwrap();
    for end in 0..whole.len() {
        let headers = svix_headers("msg_1", &NOW.to_string(), &whole[..end]);
        let refused = verdict(Provider::Clerk, &headers);
        assert_ne!(refused, "accepted", "the first {end} characters");
    }
    let headers = svix_headers("msg_1", &NOW.to_string(), "v1, v1,");
    assert_eq!(verdict(Provider::Clerk, &headers), "signature_mismatch");
}

#[test]
fn stripe_signatures_may_be_several_and_the_time_only_one() {
    let right = signed(Provider::Stripe, NOW)["stripe-signature"].clone();
    let right = right.to_str().unwrap();
    let (time, mac) = right.split_once(",v1=").unwrap();
    let wrong = "0".repeat(64);
    for (text, expected) in [
        (format!("{time},v1={wrong},v1={mac}"), "accepted"),
        (format!("v1={mac},{time}"), "accepted"),
        (format!("{time},v0={wrong},v1={mac},v2=x"), "accepted"),
        (format!("{time},v1={wrong}"), "signature_mismatch"),
        (format!("{time},{time},v1={mac}"), "malformed_header"),
        (format!("{time},v1={mac},"), "malformed_header"),
        (format!("{time}, v1={mac}"), "malformed_header"),
    ] {
        let headers = header_map([("stripe-signature", text.as_bytes())]);
        assert_eq!(verdict(Provider::Stripe, &headers), expected, "{text}");
    }
}

#[test]
fn a_rejection_quotes_nothing_of_the_request() {
    let headers = stripe_headers("t=marker,v1=marker");
    let rejection = receive(
        &verifier(Provider::Stripe, &[STRIPE_SECRET]),
        &headers,
        "marker",
        Timestamp::from_seconds(NOW),
    )
    .unwrap_err();
    assert!(matches!(rejection, Rejection::MalformedHeader { .. }));
    assert!(!rejection.to_string().contains("marker"), "{rejection}");
}

#[test]
fn unusable_secrets_are_told_apart() {
    use SecretProblem::{Empty, NoPrefix, NotBase64, StrayCharacter};
    for (provider, secret, expected) in [
        (Provider::Clerk, SVIX_SECRET, Ok(())),
        (Provider::Clerk, "", Err(NoPrefix)),
        (Provider::Clerk, "sk_test_1", Err(NoPrefix)),
        (Provider::Clerk, "whsec_", Err(Empty)),
        (Provider::Clerk, "whsec_%%%%", Err(NotBase64)),
        (Provider::Clerk, "whsec_MfKQ9r8G\n", Err(StrayCharacter)),
        (Provider::Stripe, STRIPE_SECRET, Ok(())),
        (Provider::Stripe, "whsec_", Err(Empty)),
        (Provider::Stripe, " whsec_x", Err(NoPrefix)),
        (Provider::Stripe, "whsec_x ", Err(StrayCharacter)),
    ] {
        assert_eq!(check_secret(provider, secret), expected, "{secret:?}");
    }
}
