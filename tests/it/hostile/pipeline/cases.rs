//! The worst bodies, and what becomes of each.

use hookmirror::model::source::Provider;

const DEPTH: usize = 100_000;
const MEGABYTE: usize = 1024 * 1024;

/// What becomes of it: the outcome in the ledger.
pub(super) enum Ends {
    Alike(&'static str),
    /// Where one database takes what the other does not.
    InAFile(&'static str, &'static str),
}
pub(super) use Ends::{Alike, InAFile};

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) provider: Provider,
    pub(super) body: Vec<u8>,
    pub(super) ends: Ends,
}

fn clerk(name: &'static str, fields: &str, ends: Ends) -> Case {
    let id = name.replace(' ', "_");
    let body = format!(
        r#"{{"type":"user.updated","object":"event","data":{{"id":"user_{id}","updated_at":1793611905087,{fields}}}}}"#
    );
    whole(name, Provider::Clerk, body, ends)
}

fn whole(name: &'static str, provider: Provider, body: impl Into<Vec<u8>>, ends: Ends) -> Case {
    Case {
        name,
        provider,
        body: body.into(),
        ends,
    }
}

pub(super) fn cases() -> Vec<Case> {
    use Provider::{Clerk, Stripe};
    let deep = r#"{"a":"#.repeat(DEPTH) + "1" + &"}".repeat(DEPTH);
    let lists = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let long = "x".repeat(MEGABYTE - 1024);
    let escapes = r"\u00e9".repeat(MEGABYTE / 8);
    let keys: Vec<String> = (0..50_000)
        .map(|number| format!(r#""k{number}":1"#))
        .collect();
    vec![
        whole("an empty body", Stripe, "", Alike("payload_not_json")),
        whole("an empty body", Clerk, "", Alike("payload_not_json")),
        whole("an empty object", Stripe, "{}", Alike("type_missing")),
        whole(
            "a byte order mark",
            Stripe,
            b"\xef\xbb\xbf{}",
            Alike("payload_not_json"),
        ),
        whole(
            "bytes that are not text",
            Stripe,
            b"{\"type\":\"\xff\xfe\"}",
            Alike("payload_not_json"),
        ),
        whole(
            "nothing but NUL",
            Stripe,
            vec![0; 1000],
            Alike("payload_not_json"),
        ),
        whole(
            "lists of 100,000 levels",
            Stripe,
            lists.clone(),
            Alike("payload_not_json"),
        ),
        whole(
            "brackets without an end",
            Clerk,
            "[".repeat(MEGABYTE - 1),
            Alike("payload_not_json"),
        ),
        whole(
            "objects of 100,000 levels",
            Stripe,
            format!(r#"{{"type":"customer.updated","data":{{"object":{deep}}}}}"#),
            Alike("payload_invalid"),
        ),
        clerk(
            "depth that nobody reads",
            &format!(r#""x":{deep}"#),
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "depth in metadata",
            &format!(r#""public_metadata":{deep}"#),
            Alike("data_refused"),
        ),
        clerk(
            "depth in a name",
            &format!(r#""first_name":{lists}"#),
            Alike("payload_invalid"),
        ),
        clerk(
            "a name of 1 MiB",
            &format!(r#""first_name":"{long}""#),
            Alike("user_mirrored"),
        ),
        clerk(
            "metadata of 1 MiB",
            &format!(r#""public_metadata":{{"a":"{long}"}}"#),
            Alike("user_mirrored"),
        ),
        clerk(
            "escapes",
            &format!(r#""first_name":"{escapes}""#),
            Alike("user_mirrored"),
        ),
        clerk("50,000 keys", &keys.join(","), Alike("user_mirrored")),
        clerk(
            "NUL in a name",
            r#""first_name":"a\u0000b""#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "NUL in metadata",
            r#""public_metadata":{"a\u0000":"\u0000"}"#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "NUL where nobody reads",
            r#""x":"\u0000""#,
            Alike("user_mirrored"),
        ),
        clerk(
            "half a surrogate in a name",
            r#""first_name":"\ud800""#,
            Alike("payload_invalid"),
        ),
        clerk(
            "half a surrogate in metadata",
            r#""public_metadata":{"a":"\ud800"}"#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "numbers beyond all",
            r#""public_metadata":{"n":1e400,"m":-99999999999999999999999999}"#,
            Alike("user_mirrored"),
        ),
        clerk(
            "a number of 1,000 digits",
            &format!(r#""public_metadata":{{"n":{}}}"#, "9".repeat(1000)),
            Alike("user_mirrored"),
        ),
        clerk(
            "an exponent of six digits",
            r#""public_metadata":{"n":1e200000}"#,
            InAFile("user_mirrored", "data_refused"),
        ),
        clerk(
            "a time beyond 64 bits",
            r#""created_at":9223372036854775808"#,
            Alike("payload_invalid"),
        ),
        clerk(
            "a time as a float",
            r#""created_at":1.5"#,
            Alike("payload_invalid"),
        ),
        clerk(
            "a key twice",
            r#""first_name":"a","first_name":"b""#,
            Alike("payload_invalid"),
        ),
        clerk(
            "a key twice in metadata",
            r#""public_metadata":{"a":1,"a":2}"#,
            Alike("user_mirrored"),
        ),
        whole(
            "an amount beyond 64 bits",
            Stripe,
            r#"{"id":"evt_amount","type":"charge.refunded","created":1,"data":{"object":{"id":"ch_1","amount":1e30,"amount_refunded":1,"created":1}}}"#,
            Alike("payload_invalid"),
        ),
        whole(
            "a type of a kilobyte",
            Stripe,
            format!(r#"{{"id":"evt_type","type":"{}"}}"#, "a".repeat(1024)),
            Alike("type_missing"),
        ),
        whole(
            "an id with NUL",
            Stripe,
            r#"{"id":"evt_\u0000","type":"a.type"}"#,
            Alike("type_not_handled"),
        ),
        whole(
            "a type and an id twice",
            Stripe,
            r#"{"id":"a","id":"b","type":"a","type":"b"}"#,
            Alike("type_missing"),
        ),
    ]
}
