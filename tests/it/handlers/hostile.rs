//! Bodies that no provider should send: they fail or are applied, and tell nothing about anyone.

use hookmirror::model::changes::{Changes, IgnoreReason};
use hookmirror::model::event::EventType;
use hookmirror::model::source::Provider;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{blamed, changed, failure, invalid, mirrored, plan, plan_of};
use crate::fixtures::{self, event};

const TYPES: [(Provider, &str); 19] = [
    (Provider::Clerk, "user.created"),
    (Provider::Clerk, "user.updated"),
    (Provider::Clerk, "user.deleted"),
    (Provider::Stripe, "checkout.session.completed"),
    (Provider::Stripe, "checkout.session.async_payment_succeeded"),
    (Provider::Stripe, "checkout.session.async_payment_failed"),
    (Provider::Stripe, "checkout.session.expired"),
    (Provider::Stripe, "customer.updated"),
    (Provider::Stripe, "customer.subscription.created"),
    (Provider::Stripe, "customer.subscription.updated"),
    (Provider::Stripe, "customer.subscription.deleted"),
    (Provider::Stripe, "invoice.paid"),
    (Provider::Stripe, "invoice.payment_succeeded"),
    (Provider::Stripe, "invoice.payment_failed"),
    (Provider::Stripe, "invoice_payment.paid"),
    (Provider::Stripe, "refund.updated"),
    (Provider::Stripe, "refund.failed"),
    (Provider::Stripe, "charge.refunded"),
    (Provider::Stripe, "charge.dispute.closed"),
];

#[test]
fn what_is_no_json_object_fails_whatever_its_type() {
    let bodies: [&[u8]; 12] = [
        b"",
        b"null",
        b"[]",
        b"[{},{}]",
        b"\"{}\"",
        b"7",
        b"{",
        b"{}{}",
        b"{'a':1}",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":1e}",
    ];
    for provider in Provider::ALL {
        for event_type in [
            "unknown",
            "user.created",
            "checkout.session.completed",
            "a.b",
        ] {
            for body in bodies {
                let plan = plan(provider, &event(provider, event_type, body));
                let shown = body.escape_ascii();
                assert_eq!(plan.subject, None, "{event_type} {shown}");
                assert_eq!(
                    blamed(plan),
                    ("payload_not_json", None),
                    "{event_type} {shown}"
                );
            }
        }
    }
}

#[test]
fn an_object_without_type_fails_and_one_of_another_type_is_ignored() {
    for provider in Provider::ALL {
        let nameless = plan(provider, &event(provider, "unknown", "{}"));
        assert_eq!(blamed(nameless), ("type_missing", Some("type".to_owned())));
        for event_type in [
            "user.reborn",
            "checkout.session.future",
            "USER.CREATED",
            "user",
            "customer.subscription",
            "customer.deleted",
            "invoice.finalized",
            "invoice_payment.created",
            "refund.future",
            "charge.refund",
            "charge.dispute.future",
        ] {
            let ignored = plan(provider, &event(provider, event_type, "{}"));
            assert_eq!(
                ignored.result,
                Ok(Changes::Ignore(IgnoreReason::TypeNotHandled))
            );
        }
    }
    // The types of one provider mean nothing from the other.
    let foreign = plan(
        Provider::Stripe,
        &event(Provider::Stripe, "user.deleted", "{}"),
    );
    assert_eq!(
        foreign.result,
        Ok(Changes::Ignore(IgnoreReason::TypeNotHandled))
    );
}

/// Our parser and the provider's could each take another one of them.
#[test]
fn a_key_that_stands_twice_is_refused_where_it_is_used() {
    let body = r#"{"data":{"id":"user_1","id":"user_2","updated_at":1793611905087}}"#;
    let twice = plan(
        Provider::Clerk,
        &event(Provider::Clerk, "user.updated", body),
    );
    assert_eq!(blamed(twice), invalid("data.id"));

    let body = r#"{"data":{"id":"user_1","updated_at":1793611905087,"x":1,"x":2}}"#;
    let unused = plan(
        Provider::Clerk,
        &event(Provider::Clerk, "user.updated", body),
    );
    assert_eq!(mirrored(unused).id.as_str(), "user_1");
}

#[test]
fn depth_does_not_exhaust_the_stack() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let nested = r#"{"a":"#.repeat(200_000) + "1" + &"}".repeat(200_000);
    for value in [&deep, &nested] {
        let user = |field: &str| {
            let body = format!(r#"{{"data":{{"updated_at":1793611905087,"{field}":{value},"#)
                + r#""id":"user_1"}}"#;
            plan(
                Provider::Clerk,
                &event(Provider::Clerk, "user.updated", body),
            )
        };
        assert_eq!(mirrored(user("unused")).id.as_str(), "user_1");
        assert_eq!(blamed(user("first_name")), invalid("data.first_name"));

        let body = format!(r#"{{"created":1,"data":{{"object":{value}}}}}"#);
        let session = event(Provider::Stripe, "checkout.session.completed", body);
        assert_eq!(
            blamed(plan(Provider::Stripe, &session)).0,
            "payload_invalid"
        );
    }
}

#[test]
fn odd_characters_are_kept_or_refused_but_never_changed() {
    let with_name = |name: &str| {
        let body = format!(
            r#"{{"data":{{"id":"user_1","updated_at":1793611905087,"first_name":"{name}"}}}}"#
        );
        plan(
            Provider::Clerk,
            &event(Provider::Clerk, "user.updated", body),
        )
    };
    let user = mirrored(with_name(r"a\u0000b"));
    assert_eq!(user.first_name.as_deref(), Some("a\0b"));
    let user = mirrored(with_name(r"\ud83d\ude00"));
    assert_eq!(user.first_name.as_deref(), Some("😀"));
    for lone in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800x"] {
        assert_eq!(
            blamed(with_name(lone)),
            invalid("data.first_name"),
            "{lone}"
        );
    }
}

/// Every path in a value, as JSON pointers.
fn pointers(value: &Value, prefix: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let pointer = format!("{prefix}/{name}");
                pointers(value, &pointer, into);
                into.push(pointer);
            }
        }
        Value::Array(entries) => {
            for (index, value) in entries.iter().enumerate() {
                let pointer = format!("{prefix}/{index}");
                pointers(value, &pointer, into);
                into.push(pointer);
            }
        }
        _ => {}
    }
}

/// A marker goes into every place of every fixture in turn, as text, as a key, in a list, and cut
/// off in the middle; whatever the plan complains about, it does not quote it.
#[test]
fn no_failure_quotes_the_payload() {
    const MARKER: &str = "marker@example.org";
    let mut failures = 0;
    for (provider, event_type) in TYPES {
        let mut places = Vec::new();
        pointers(
            &fixtures::json(provider.as_str(), event_type),
            "",
            &mut places,
        );
        for place in places {
            for odd in [json!(MARKER), json!([MARKER]), json!({MARKER: MARKER})] {
                let mut body = fixtures::json(provider.as_str(), event_type);
                *body.pointer_mut(&place).unwrap() = odd;
                let text = body.to_string();
                let cut = &text[..text.rfind(MARKER).unwrap() + MARKER.len()];
                for body in [text.as_str(), cut] {
                    let planned = plan(provider, &event(provider, event_type, body.to_owned()));
                    let Err(error) = planned.result else {
                        continue;
                    };
                    assert!(!format!("{error:?}").contains("marker"), "{place}");
                    let failure = failure(provider, event_type, error);
                    assert!(!format!("{failure:?}").contains("marker"), "{place}");
                    failures += 1;
                }
            }
        }
    }
    assert!(failures > 500, "only {failures} failures");
}

#[test]
fn a_failure_tells_kind_place_and_chain() {
    let body = changed(Provider::Clerk, "user.updated", "/data/updated_at", None);
    let error = plan_of(Provider::Clerk, "user.updated", &body)
        .result
        .unwrap_err();
    let failed = failure(Provider::Clerk, "user.updated", error);
    assert_eq!(failed.kind, "payload_invalid");
    assert_eq!(
        failed.message,
        "the payload cannot be used: `data.updated_at` is missing"
    );

    let error = plan(
        Provider::Clerk,
        &event(Provider::Clerk, "a.b", "{\n \"a\": x}"),
    );
    let failed = failure(Provider::Clerk, "a.b", error.result.unwrap_err());
    assert_eq!(failed.kind, "payload_not_json");
    assert_eq!(
        failed.message,
        "the payload cannot be used: line 2, column 7: not JSON"
    );

    let error = plan(
        Provider::Clerk,
        &event(Provider::Clerk, "a.b", b"{\n \"\xff\"".as_slice()),
    );
    let failed = failure(Provider::Clerk, "a.b", error.result.unwrap_err());
    let expected = "the payload cannot be used: line 2, column 3: bytes that are not UTF-8";
    assert_eq!(failed.message, expected);
}

#[test]
fn a_fingerprint_groups_the_same_failure_of_the_same_type() {
    let fingerprint = |provider, event_type: &str, body: &str| {
        let error = plan(provider, &event(provider, event_type, body.to_owned()))
            .result
            .unwrap_err();
        let event_type = EventType::parse(event_type).unwrap();
        error.into_failure(provider, &event_type).fingerprint
    };
    let no_time = fingerprint(
        Provider::Clerk,
        "user.updated",
        r#"{"data":{"id":"user_1"}}"#,
    );
    assert_eq!(no_time.len(), 12);
    // Pinned: the ledger holds those of earlier versions.
    assert_eq!(no_time, PINNED);

    let same = fingerprint(
        Provider::Clerk,
        "user.updated",
        r#"{"data":{"id":"user_2"},"x":1}"#,
    );
    assert_eq!(no_time, same);
    let broken = fingerprint(Provider::Clerk, "user.updated", "{");
    assert_eq!(
        broken,
        fingerprint(Provider::Clerk, "user.updated", "{\n\n\"a\"")
    );
    let others = [
        no_time,
        broken,
        fingerprint(
            Provider::Clerk,
            "user.created",
            r#"{"data":{"id":"user_1"}}"#,
        ),
        fingerprint(Provider::Clerk, "user.updated", r#"{"data":{}}"#),
        fingerprint(Provider::Clerk, "user.updated", r"{}"),
        fingerprint(Provider::Stripe, "user.updated", "{"),
        fingerprint(Provider::Stripe, "unknown", "{}"),
        fingerprint(Provider::Clerk, "unknown", "{}"),
    ];
    let distinct: std::collections::BTreeSet<_> = others.iter().collect();
    assert_eq!(distinct.len(), others.len());
}

const PINNED: &str = "3951f886a528";

/// Bytes of a fixture, cut, doubled or overwritten anywhere.
fn mangled() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let edit = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        0..4,
    );
    (0..TYPES.len(), prop::collection::vec(edit, 1..6)).prop_map(|(index, edits)| {
        let (provider, event_type) = TYPES[index];
        let mut body = fixtures::bytes(provider.as_str(), event_type).to_vec();
        for (at, to, byte, kind) in edits {
            let (at, to) = (at.index(body.len()), to.index(body.len()));
            let (from, to) = (at.min(to), at.max(to).min(at.min(to) + 64));
            match kind {
                0 => body[at] = byte,
                1 => drop(body.drain(from..to)),
                2 => {
                    let piece = body[from..to].to_vec();
                    body.splice(from..from, piece);
                }
                _ => body[at] = b"{}[]\",:0\\"[usize::from(byte) % 9],
            }
            body.push(b' ');
        }
        (index, body)
    })
}

proptest! {
    /// Never a panic; the same bytes, the same plan.
    #[test]
    fn mangled_bodies_have_one_plan((index, body) in mangled()) {
        let (provider, event_type) = TYPES[index];
        let event = event(provider, event_type, body);
        let (one, two) = (plan(provider, &event), plan(provider, &event));
        prop_assert_eq!(one.result, two.result);
        prop_assert_eq!(one.subject, two.subject);
    }

    #[test]
    fn any_bytes_have_a_plan(body in prop::collection::vec(any::<u8>(), 0..100)) {
        for (provider, event_type) in TYPES {
            let plan = plan(provider, &event(provider, event_type, body.clone()));
            prop_assert!(plan.result.is_err());
        }
    }
}
