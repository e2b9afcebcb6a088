//! Every row of the table of answers that does not depend on how the body comes.

use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use http::header::{ALLOW, CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::door::{
    Door, NOW, OLD_SECRET, SECRET, STRANGERS_SECRET, THIRD, THIRD_SECRET, TOLERANCE, body, head,
    post, refusal, sign, sign_with,
};
use crate::support::publisher::Behaviour;

/// The header that holds the signatures.
fn signature_header(provider: Provider) -> HeaderName {
    match provider {
        Provider::Clerk => HeaderName::from_static("svix-signature"),
        Provider::Stripe => HeaderName::from_static("stripe-signature"),
    }
}

/// The same headers, claiming another time.
fn claiming(provider: Provider, headers: &HeaderMap, seconds: &str) -> HeaderMap {
    let mut headers = headers.clone();
    match provider {
        Provider::Clerk => {
            headers.insert("svix-timestamp", HeaderValue::from_str(seconds).unwrap());
        }
        Provider::Stripe => {
            let text = headers["stripe-signature"].to_str().unwrap();
            let (_, signatures) = text.split_once(',').unwrap();
            let text = format!("t={seconds},{signatures}");
            headers.insert("stripe-signature", HeaderValue::from_str(&text).unwrap());
        }
    }
    headers
}

#[tokio::test]
async fn what_is_signed_with_any_secret_is_accepted() {
    let door = Door::open(Behaviour::Accept).await;
    for provider in Provider::ALL {
        for secret in [OLD_SECRET, SECRET] {
            let headers = sign_with(secret, provider, NOW, &body());
            let answer = door.post(provider, &headers, &body()).await;
            assert_eq!(answer.status, 202, "{provider}");
            assert_eq!(answer.text(), r#"{"status":"accepted","id":"msg_1"}"#);
            assert!(!answer.closes());
        }
    }
    let events = door.publisher.events();
    assert_eq!(events.len(), 4);
    for (event, source) in events.iter().zip(["clerk", "clerk", "stripe", "stripe"]) {
        assert_eq!(event.key.to_string(), format!("{source}/msg_1"));
        assert_eq!(event.event_type.as_str(), "user.created");
        assert_eq!(event.received_at, NOW);
        assert_eq!(event.body, body());
    }
}

/// Two accounts of one provider: the scheme is the same, and only the secret tells them apart.
#[tokio::test]
async fn a_third_source_is_opened_by_its_own_secret_only() {
    let door = Door::open(Behaviour::Accept).await;
    let sent_to = async |source: &str, secret: &str| {
        let mut headers = sign_with(secret, Provider::Stripe, NOW, &body());
        headers.insert(CONTENT_LENGTH, body().len().into());
        let mut request = head("POST", &format!("/webhooks/{source}"), &headers);
        request.extend(body());
        door.ask(&request).await
    };
    for (source, secret) in [
        (THIRD, SECRET),
        (THIRD, OLD_SECRET),
        ("stripe", THIRD_SECRET),
    ] {
        let answer = sent_to(source, secret).await;
        assert_eq!(
            answer.refusal(),
            refusal(401, "signature_mismatch"),
            "{source}"
        );
    }
    assert!(door.publisher.events().is_empty());
    assert_eq!(sent_to(THIRD, THIRD_SECRET).await.status, 202);
    let keys: Vec<String> = door
        .publisher
        .events()
        .iter()
        .map(|e| e.key.to_string())
        .collect();
    assert_eq!(keys, ["stripe-2/msg_1"]);
    let answer = door.get("/webhooks/stripe-2").await;
    assert_eq!(answer.text(), r#"{"status":"ready","source":"stripe-2"}"#);
}

#[tokio::test]
async fn what_strangers_signed_is_refused() {
    let door = Door::open(Behaviour::Accept).await;
    for provider in Provider::ALL {
        let headers = sign_with(STRANGERS_SECRET, provider, NOW, &body());
        let answer = door.post(provider, &headers, &body()).await;
        assert_eq!(answer.refusal(), refusal(401, "signature_mismatch"));
        assert!(!answer.closes(), "the body was read: {answer:?}");

        let mut changed = body();
        changed[10] ^= 1;
        let answer = door
            .post(provider, &sign(provider, &body()), &changed)
            .await;
        assert_eq!(answer.refusal(), refusal(401, "signature_mismatch"));
    }
    // Authentic for one source says nothing to the other.
    let answer = door
        .post(Provider::Stripe, &sign(Provider::Clerk, &body()), &body())
        .await;
    assert_eq!(answer.refusal(), refusal(400, "header_missing"));
    assert_eq!(door.publisher.events(), []);
}

#[tokio::test]
async fn a_missing_repeated_or_unreadable_header_is_refused() {
    let door = Door::open(Behaviour::Accept).await;
    for provider in Provider::ALL {
        let good = sign(provider, &body());
        for name in good.keys() {
            let mut headers = good.clone();
            headers.remove(name);
            let answer = door.post(provider, &headers, &body()).await;
            assert_eq!(answer.refusal(), refusal(400, "header_missing"), "{name}");
            assert!(answer.text().contains(name.as_str()), "{answer:?}");

            let mut headers = good.clone();
            headers.append(name, good[name].clone());
            let answer = door.post(provider, &headers, &body()).await;
            assert_eq!(answer.refusal(), refusal(400, "header_malformed"), "{name}");

            for text in [b"caf\xc3\xa9-canary".as_slice(), b"\xff-canary", b""] {
                let mut headers = good.clone();
                headers.insert(name, HeaderValue::from_bytes(text).unwrap());
                let answer = door.post(provider, &headers, &body()).await;
                assert_eq!(answer.refusal(), refusal(400, "header_malformed"), "{name}");
                assert!(!answer.text().contains("canary"), "{answer:?}");
            }
        }
    }
    assert_eq!(door.publisher.events(), []);
}

#[tokio::test]
async fn a_signature_is_good_for_as_long_as_the_tolerance_in_both_directions() {
    let door = Door::open(Behaviour::Accept).await;
    let tolerance = i64::try_from(TOLERANCE.as_secs()).unwrap();
    for provider in Provider::ALL {
        for (offset, status) in [
            (-tolerance - 1, 401),
            (-tolerance, 202),
            (tolerance, 202),
            (tolerance + 1, 401),
        ] {
            let signed_at = Timestamp::from_seconds(NOW.as_seconds() + offset);
            let headers = sign_with(SECRET, provider, signed_at, &body());
            let answer = door.post(provider, &headers, &body()).await;
            assert_eq!(answer.status, status, "{provider} {offset}");
            if status == 401 {
                assert_eq!(answer.code(), "timestamp_out_of_tolerance");
            }
        }
    }
    assert_eq!(door.publisher.events().len(), 4);
}

#[tokio::test]
async fn absurd_times_are_refused() {
    let door = Door::open(Behaviour::Accept).await;
    let digits = "9".repeat(400);
    let absurd = [
        ("0", 401),
        ("-1", 401),
        ("9223372036854775807", 401),
        ("-9223372036854775808", 401),
        ("9223372036854775808", 400),
        (&digits, 400),
        ("+1763700000", 400),
        ("01763700000", 400),
        ("1763700000.0", 400),
        ("1e9", 400),
        ("now", 400),
    ];
    for provider in Provider::ALL {
        let good = sign(provider, &body());
        for (seconds, status) in absurd {
            let headers = claiming(provider, &good, seconds);
            let answer = door.post(provider, &headers, &body()).await;
            assert_eq!(answer.status, status, "{provider} {seconds}");
        }
        // A time within the tolerance that is not the one that was signed.
        let later = (NOW.as_seconds() + 1).to_string();
        let answer = door
            .post(provider, &claiming(provider, &good, &later), &body())
            .await;
        assert_eq!(answer.refusal(), refusal(401, "signature_mismatch"));
    }
    assert_eq!(door.publisher.events(), []);
}

#[tokio::test]
async fn headers_are_judged_before_the_body_is_asked_for() {
    let door = Door::open(Behaviour::Accept).await;
    for provider in Provider::ALL {
        let mut headers = sign(provider, &body());
        headers.remove(signature_header(provider));
        // The body is announced and never sent.
        let request = super::door::post_head(provider, &headers, 1000);
        let answer = door.ask(&request).await;
        assert_eq!(answer.refusal(), refusal(400, "header_missing"));
        assert!(answer.closes(), "the body was not read: {answer:?}");
    }
}

#[tokio::test]
async fn a_source_must_exist_and_have_a_secret() {
    let door = Door::open(Behaviour::Accept).await;
    let headers = sign(Provider::Clerk, &body());
    let long = format!("/webhooks/{}", "a".repeat(5000));
    for path in [
        "/webhooks/canary",
        "/webhooks/CLERK",
        "/webhooks/%ff",
        "/webhooks/clerk%2f..",
        "/webhooks/%3Cscript%3E",
        &long,
    ] {
        for method in ["GET", "POST"] {
            let answer = door.ask(&head(method, path, &headers)).await;
            assert_eq!(answer.refusal(), refusal(404, "unknown_source"), "{path}");
            assert!(!answer.text().contains("script"), "{answer:?}");
        }
    }
    for method in ["GET", "POST"] {
        let answer = door.ask(&head(method, "/webhooks/bare", &headers)).await;
        assert_eq!(answer.refusal(), refusal(503, "source_not_configured"));
        assert!(answer.headers.contains_key(RETRY_AFTER));
    }
    assert_eq!(door.publisher.events(), []);
}

#[tokio::test]
async fn a_source_can_be_looked_at() {
    let door = Door::open(Behaviour::Accept).await;
    for provider in Provider::ALL {
        let path = format!("/webhooks/{provider}");
        let answer = door.get(&path).await;
        assert_eq!(answer.status, 200);
        let expected = format!(r#"{{"status":"ready","source":"{provider}"}}"#);
        assert_eq!(answer.text(), expected);

        let mut wire = door.connect().await;
        wire.send(&head("HEAD", &path, &HeaderMap::new())).await;
        let answer = wire.answer_to("HEAD").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers[CONTENT_LENGTH], expected.len().to_string());
        // Had a body followed, this answer would not be one.
        wire.send(&head("GET", "/livez", &HeaderMap::new())).await;
        assert_eq!(wire.answer().await.text(), r#"{"status":"alive"}"#);
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_named_as_such() {
    let door = Door::open(Behaviour::Accept).await;
    for (path, allow) in [
        ("/webhooks/clerk", "GET, HEAD, POST"),
        ("/livez", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
    ] {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let answer = door.ask(&head(method, path, &HeaderMap::new())).await;
            assert_eq!(answer.refusal(), refusal(405, "method_not_allowed"));
            assert_eq!(answer.headers[ALLOW], allow, "{method} {path}");
        }
    }
    for path in [
        "/",
        "/webhooks",
        "/webhooks/",
        "/webhooks/clerk/",
        "/metrics",
        "/admin",
    ] {
        let answer = door.get(path).await;
        assert_eq!(answer.refusal(), refusal(404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_requests_may_be_pipelined() {
    let door = Door::open(Behaviour::Accept).await;
    let mut wire = door.connect().await;
    let good = post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body());
    let forged = sign_with(STRANGERS_SECRET, Provider::Stripe, NOW, &body());
    let forged = post(Provider::Stripe, &forged, &body());
    wire.send(&[good.as_slice(), &forged, &good].concat()).await;
    for status in [202, 401, 202] {
        assert_eq!(wire.answer().await.status, status);
    }
    assert_eq!(door.publisher.events().len(), 2);
}

/// Whether a secret is an old one, another source's or nobody's, and what else is wrong: the same bytes.
#[tokio::test]
async fn an_answer_to_a_wrong_signature_tells_nothing() {
    let door = Door::open(Behaviour::Accept).await;
    for provider in Provider::ALL {
        let mut answers = std::collections::BTreeSet::new();
        for (secret, signed) in [
            (STRANGERS_SECRET, body()),
            (THIRD_SECRET, body()),
            (OLD_SECRET, b"another body".to_vec()),
            (SECRET, b"another body".to_vec()),
            (SECRET, Vec::new()),
        ] {
            if provider == Provider::Clerk && secret == THIRD_SECRET {
                continue;
            }
            let headers = sign_with(secret, provider, NOW, &signed);
            let answer = door.post(provider, &headers, &body()).await;
            assert_eq!(answer.refusal(), refusal(401, "signature_mismatch"));
            let mut told = answer.headers.clone();
            told.remove("date");
            answers.insert(format!("{told:?} {}", answer.text()));
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
}
