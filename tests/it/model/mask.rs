//! What a masked payload shows, and what it does not.

use hookmirror::model::mask::mask;
use proptest::prelude::*;
use serde_json::{Value, json};

fn masked(payload: &str) -> String {
    mask(payload.as_bytes(), &["evt_1Own", "user_2Own"])
}

#[test]
fn values_keep_their_shape() {
    for (payload, expected) in [
        (r#""Jane.Doe+1@Example.org""#, r#""Xxxx.Xxx+0@Xxxxxxx.xxx""#),
        (
            r#"{"a": 4900, "b": -12.5e3}"#,
            r#"{"a": 0000, "b": -00.0e0}"#,
        ),
        ("18446744073709551616", "00000000000000000000"),
        (
            r#"[true, false, null, "", {}]"#,
            r#"[true, false, null, "", {}]"#,
        ),
        (
            "{\n  \"a\" : [\n \"b c\" ]\n}",
            "{\n  \"a\" : [\n \"x x\" ]\n}",
        ),
        (r#""Ærø ٣ 漢字 😀 é""#, r#""Xxx 0 xx x x""#),
        (r#""say \"hi\" \\ \u0041\n""#, r#""xxx \"xx\" \\ X\n""#),
        (r#"{"a":"b","a":{"a":"c"}}"#, r#"{"a":"x","a":{"a":"x"}}"#),
    ] {
        assert_eq!(masked(payload), expected, "{payload}");
    }
}

#[test]
fn what_decides_stays_readable() {
    for payload in [
        r#"{"type":"checkout.session.completed","object":"event","livemode":false}"#,
        r#"{"created":1795000000,"payment_status":"no_payment_required","mode":"payment"}"#,
        r#"{"id":"evt_1Own","data":{"object":{"customer":"user_2Own"}},"list":["evt_1Own"]}"#,
        r#"{"currency":"eur","status":null}"#,
    ] {
        assert_eq!(masked(payload), payload);
    }
}

#[test]
fn a_name_on_the_list_does_not_show_what_is_no_word() {
    for (payload, expected) in [
        (r#"{"status":"Jane Doe"}"#, r#"{"status":"Xxxx Xxx"}"#),
        (
            r#"{"type":"jane@example.org"}"#,
            r#"{"type":"xxxx@xxxxxxx.xxx"}"#,
        ),
        (
            r#"{"object":{"name":"Jane"}}"#,
            r#"{"object":{"name":"Xxxx"}}"#,
        ),
        (r#"{"mode":["Jane",7]}"#, r#"{"mode":["Xxxx",0]}"#),
        (
            r#"{"mode":"payment","name":"Jane"}"#,
            r#"{"mode":"payment","name":"Xxxx"}"#,
        ),
        (
            r#"{"mode":{},"name":"Jane","n":7}"#,
            r#"{"mode":{},"name":"Xxxx","n":0}"#,
        ),
        (r#"["status","Jane"]"#, r#"["xxxxxx","Xxxx"]"#),
        (r#"{"a":"user_2OwnAndMore"}"#, r#"{"a":"xxxx_0XxxXxxXxxx"}"#),
    ] {
        assert_eq!(masked(payload), expected, "{payload}");
    }
    let long = format!(r#"{{"status":"{}"}}"#, "a".repeat(65));
    assert!(!masked(&long).contains("aaa"));
}

#[test]
fn what_is_not_json_is_masked_as_text() {
    for (payload, expected) in [
        ("Jane Doe, 47", "Xxxx Xxx, 00"),
        (r#"{"status":"paid""#, r#"{"xxxxxx":"xxxx""#),
        ("", ""),
    ] {
        assert_eq!(masked(payload), expected, "{payload}");
    }
    assert_eq!(mask(b"Jane\xff\xfe7", &[]), "Xxxxxx0");
}

#[test]
fn depth_is_no_matter() {
    let depth = 200_000;
    let (open, close) = ("{\"a\":[".repeat(depth), "]}".repeat(depth));
    let payload = format!("{open}\"Jane\"{close}");
    assert_eq!(masked(&payload), format!("{open}\"Xxxx\"{close}"));
}

/// Without numbers: zeros with more zeros before them are no JSON.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let name = prop_oneof![any::<String>(), Just("status".to_owned())];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// By hand: what the same value looks like.
fn by_hand(value: &Value, readable: bool) -> Value {
    match value {
        Value::String(text) => {
            let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            if readable && text.len() <= 64 && text.chars().all(word) {
                return value.clone();
            }
            let shape = text.chars().map(|c| match c {
                c if c.is_uppercase() => 'X',
                c if c.is_numeric() => '0',
                c if c.is_ascii_punctuation() || c.is_ascii_whitespace() => c,
                _ => 'x',
            });
            Value::String(shape.collect())
        }
        Value::Array(values) => values.iter().map(|value| by_hand(value, false)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), by_hand(value, name == "status")))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn nothing_is_left_but_the_shape(value in values(), pretty in any::<bool>()) {
        let payload = if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        };
        let seen = mask(payload.unwrap().as_bytes(), &[]);
        let seen: Value = serde_json::from_str(&seen).unwrap();
        prop_assert_eq!(seen, by_hand(&value, false));
    }

    #[test]
    fn no_digit_of_a_number_is_left(number in any::<f64>(), other in any::<i64>()) {
        let seen = masked(&format!(r#"{{"a":{},"b":{other}}}"#, json!(number)));
        prop_assert!(!seen.contains(|c: char| ('1'..='9').contains(&c)), "{}", seen);
    }

    #[test]
    fn any_bytes_can_be_masked(bytes in any::<Vec<u8>>()) {
        let seen = mask(&bytes, &[]);
        prop_assert!(!seen.contains(|c: char| ('1'..='9').contains(&c)), "{}", seen);
    }
}
