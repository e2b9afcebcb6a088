//! Both schemes against what the providers' own libraries compute.

use hookmirror::model::event::EventId;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::sign;
use http::HeaderMap;
use serde_json::Value;

use super::{receive, stripe_headers, svix_headers, verifier, word};
use crate::fixtures;

fn cases(scheme: &str, kind: &str) -> Vec<Value> {
    let cases = fixtures::json("signatures", scheme)[kind].clone();
    let Value::Array(cases) = cases else {
        panic!("`{kind}` is a list");
    };
    assert!(!cases.is_empty());
    cases
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

fn signed_at(case: &Value) -> Timestamp {
    Timestamp::from_seconds(case["timestamp"].as_i64().unwrap())
}

fn headers(provider: Provider, case: &Value) -> HeaderMap {
    match provider {
        Provider::Clerk => svix_headers(
            text(case, "id"),
            &case["timestamp"].to_string(),
            text(case, "signature"),
        ),
        Provider::Stripe => stripe_headers(text(case, "header")),
    }
}

const SCHEMES: [(Provider, &str); 2] = [(Provider::Clerk, "svix"), (Provider::Stripe, "stripe")];

#[test]
fn no_vector_is_left_unread() {
    assert_eq!(fixtures::names("signatures"), ["stripe", "svix"]);
}

#[test]
fn published_answers_are_accepted() {
    for (provider, scheme) in SCHEMES {
        for case in cases(scheme, "accepted") {
            let body = text(&case, "body");
            let accepted = receive(
                &verifier(provider, &[text(&case, "secret")]),
                &headers(provider, &case),
                body.to_owned(),
                signed_at(&case),
            );
            let accepted = accepted.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(accepted.event().body, body.as_bytes(), "{case}");
        }
    }
}

#[test]
fn published_answers_are_what_we_sign() {
    for (provider, scheme) in SCHEMES {
        let mut signed = 0;
        for case in cases(scheme, "accepted") {
            let expected = headers(provider, &case);
            let id = case["id"].as_str().unwrap_or("evt_1");
            let headers = sign(
                provider,
                &text(&case, "secret").into(),
                &EventId::parse(id).unwrap(),
                signed_at(&case),
                text(&case, "body").as_bytes(),
            )
            .unwrap();
            // Cases with several signatures show what to accept, not what to send.
            let several = text(
                &case,
                if scheme == "svix" {
                    "signature"
                } else {
                    "header"
                },
            )
            .matches("v1")
            .count()
                > 1;
            if !several {
                assert_eq!(headers, expected, "{case}");
                signed += 1;
            }
        }
        assert!(signed >= 3, "{scheme}");
    }
}

#[test]
fn near_misses_are_refused() {
    for (provider, scheme) in SCHEMES {
        for case in cases(scheme, "refused") {
            let refused = receive(
                &verifier(provider, &[text(&case, "secret")]),
                &headers(provider, &case),
                text(&case, "body").to_owned(),
                signed_at(&case),
            );
            assert_eq!(
                word(&refused.unwrap_err()),
                text(&case, "rejection"),
                "{case}"
            );
        }
    }
}

/// Svix decodes its secret, Stripe takes it whole: the one must not pass for the other.
#[test]
fn a_svix_secret_taken_whole_signs_nothing() {
    let secret = super::SVIX_SECRET;
    let undecoded = svix::webhooks::Webhook::from_bytes(secret.as_bytes().to_vec())
        .unwrap()
        .sign("msg_1", 1_614_265_330, b"{}")
        .unwrap();
    let refused = receive(
        &verifier(Provider::Clerk, &[secret]),
        &svix_headers("msg_1", "1614265330", &undecoded),
        "{}",
        Timestamp::from_seconds(1_614_265_330),
    );
    assert_eq!(word(&refused.unwrap_err()), "signature_mismatch");
}

/// While a secret is rolled, both are configured, and whichever the provider used is told.
#[test]
fn either_of_two_secrets_is_enough_and_the_match_is_named() {
    for (provider, scheme) in SCHEMES {
        let case = cases(scheme, "accepted").remove(0);
        let other = match provider {
            Provider::Clerk => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oE",
            Provider::Stripe => "whsec_another",
        };
        let secret = text(&case, "secret");
        for (secrets, index) in [
            (vec![secret], 0),
            (vec![secret, other], 0),
            (vec![other, secret], 1),
            (vec![other, other, secret], 2),
        ] {
            let accepted = receive(
                &verifier(provider, &secrets),
                &headers(provider, &case),
                text(&case, "body").to_owned(),
                signed_at(&case),
            );
            assert_eq!(accepted.unwrap().secret_index(), index, "{scheme}");
        }
        for secrets in [vec![], vec![other]] {
            let refused = receive(
                &verifier(provider, &secrets),
                &headers(provider, &case),
                text(&case, "body").to_owned(),
                signed_at(&case),
            );
            assert_eq!(
                word(&refused.unwrap_err()),
                "signature_mismatch",
                "{scheme}"
            );
        }
    }
}
