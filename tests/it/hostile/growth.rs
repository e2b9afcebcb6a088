//! Eight times the input may take eight times as long, with room for a busy machine, and not sixty-four
//! times.
//!
//! Where the work is bounded by a limit on the input, it is the limit that is tried.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hookmirror::config::Config;
use hookmirror::handlers;
use hookmirror::model::mask::mask;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::provider::{UnverifiedWebhook, Verifier, verify};
use http::{HeaderMap, HeaderValue};

use crate::admin::door::Door;
use crate::fixtures;
use crate::support::database::{self, Database};
use crate::support::directory::directory;
use crate::support::given::{at, ignore};

const TIMES: usize = 8;
/// Between linear, which is 8, and quadratic, which is 64.
const MOST: u32 = 30;
const ROUNDS: usize = 20;
/// Before anything is said: a run that was disturbed is one of several.
const FIRST_ROUNDS: usize = 5;
/// Whatever takes no longer than this at the larger size needs no comparison.
const NOTHING: Duration = Duration::from_millis(5);

fn took(run: &mut dyn FnMut()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}

/// Compares a size with eight times that size.
fn grows_in_proportion(shape: &str, size: usize, make: impl Fn(usize) -> Box<dyn FnMut()>) {
    let (mut one, mut more) = (make(size), make(size * TIMES));
    if let Err([small, large]) = compare(|| took(&mut *one), || took(&mut *more)) {
        panic!("{shape}: {small:?} for {size}, {large:?} for {TIMES} times as much");
    }
}

/// The shortest run of each, after one that only warms up. What grows too fast does so in every round;
/// what was only disturbed is not disturbed in all of them.
fn compare(
    mut one: impl FnMut() -> Duration,
    mut more: impl FnMut() -> Duration,
) -> Result<(), [Duration; 2]> {
    one();
    more();
    let (mut small, mut large) = (Duration::MAX, Duration::MAX);
    for round in 1..=ROUNDS {
        small = small.min(one());
        large = large.min(more());
        if round >= FIRST_ROUNDS && (large < NOTHING || large < small * MOST) {
            return Ok(());
        }
    }
    Err([small, large])
}

#[test]
fn what_is_slow_for_a_while_hides_nothing_and_is_no_growth() {
    // Milliseconds of the first runs, and of all later ones.
    fn runs(first: &'static [u64], later: u64) -> impl FnMut() -> Duration {
        let mut first = first.iter();
        move || Duration::from_millis(first.next().copied().unwrap_or(later))
    }
    let cold = &[90, 80, 70, 60];
    let quadratic = compare(runs(cold, 10), runs(&[], 640));
    assert_eq!(quadratic, Err([10, 640].map(Duration::from_millis)));
    let disturbed = &[5000; 19];
    assert_eq!(compare(runs(&[], 10), runs(disturbed, 80)), Ok(()));
}

/// The plan of a body, and its mask.
fn decoded(provider: Provider, event_type: &'static str, body: String) -> Box<dyn FnMut()> {
    let body = Bytes::from(body);
    Box::new(move || {
        let event = fixtures::event(provider, event_type, body.clone());
        let _ = handlers::plan(&provider.into(), &event);
        assert!(!mask(&body, &[]).is_empty());
    })
}

fn user(field: &str) -> String {
    format!(
        r#"{{"type":"user.updated","data":{{"id":"user_1","updated_at":1793611905087,{field}}}}}"#
    )
}

fn list(entry: impl Fn(usize) -> String, length: usize) -> String {
    let entries: Vec<String> = (0..length).map(entry).collect();
    entries.join(",")
}

#[test]
fn bodies() {
    const CLERK: &str = "user.updated";
    let clerk = |body| decoded(Provider::Clerk, CLERK, body);
    grows_in_proportion("depth", 5_000, |size| {
        clerk(user(&format!(
            r#""public_metadata":{}1{}"#,
            r#"{"a":"#.repeat(size),
            "}".repeat(size)
        )))
    });
    grows_in_proportion("unclosed depth", 10_000, |size| clerk("[".repeat(size)));
    grows_in_proportion("escapes", 20_000, |size| {
        clerk(user(&format!(
            r#""first_name":"{}""#,
            r"\u00e9".repeat(size)
        )))
    });
    grows_in_proportion("backslashes", 30_000, |size| {
        clerk(user(&format!(r#""first_name":"{}""#, r"\\".repeat(size))))
    });
    grows_in_proportion("keys", 5_000, |size| {
        clerk(user(&list(
            |number| format!(r#""key {number}":{number}"#),
            size,
        )))
    });
    grows_in_proportion("one key again and again", 5_000, |size| {
        clerk(user(&list(|_| r#""first_name":"a""#.to_owned(), size)))
    });
    grows_in_proportion("addresses", 2_000, |size| {
        let entry = |number| format!(r#"{{"id":"idn_{number}"}}"#);
        clerk(user(&format!(
            r#""primary_email_address_id":"idn_x","email_addresses":[{}]"#,
            list(entry, size)
        )))
    });
    grows_in_proportion("lines", 30_000, |size| clerk("\n".repeat(size) + "x"));
    grows_in_proportion("digits", 30_000, |size| {
        clerk(user(&format!(r#""created_at":{}"#, "9".repeat(size))))
    });
    grows_in_proportion("expanded objects", 1_000, |size| {
        let (open, close) = (r#"{"id":"#.repeat(size), "}".repeat(size));
        let object = format!(r#"{{"id":"in_1","created":1,"subscription":{open}"sub_1"{close}}}"#);
        let body = format!(r#"{{"created":1,"livemode":false,"data":{{"object":{object}}}}}"#);
        decoded(Provider::Stripe, "invoice.paid", body)
    });
}

/// Headers of any length: that the listener takes 16 KiB at most is another bound.
#[test]
fn signatures() {
    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    let received = |provider: Provider, headers: HeaderMap| -> Box<dyn FnMut()> {
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()];
        let verifier = Verifier::new(provider.into(), &secrets, Duration::from_secs(300)).unwrap();
        Box::new(move || {
            let claim = verifier.read_claim(&headers, NOW).unwrap();
            let webhook = UnverifiedWebhook {
                claim,
                headers: &headers,
                body: Bytes::from_static(b"{}"),
                received_at: NOW,
            };
            assert!(verify(&verifier, webhook).is_err());
        })
    };
    let value = |text: String| HeaderValue::try_from(text).unwrap();
    grows_in_proportion("signatures of Clerk's", 2_000, |size| {
        let mut headers = HeaderMap::new();
        headers.insert("svix-id", value("msg_1".to_owned()));
        headers.insert("svix-timestamp", value("1795000000".to_owned()));
        headers.insert("svix-signature", value("v1,AAAA ".repeat(size)));
        received(Provider::Clerk, headers)
    });
    grows_in_proportion("signatures of Stripe's", 500, |size| {
        let mut headers = HeaderMap::new();
        let signatures = format!(",v1={}", "0".repeat(64)).repeat(size);
        headers.insert(
            "stripe-signature",
            value(format!("t=1795000000{signatures}")),
        );
        received(Provider::Stripe, headers)
    });
}

/// Loads a file that has a problem.
fn load(text: String) -> Box<dyn FnMut()> {
    let directory = directory();
    let path = directory.path().join("hookmirror.toml");
    std::fs::write(&path, text).unwrap();
    Box::new(move || {
        let path = directory.path().join("hookmirror.toml");
        let path = path.to_str().unwrap().to_owned();
        assert!(Config::load([("HOOKMIRROR_CONFIG".to_owned(), path)]).is_err());
    })
}

#[test]
fn settings() {
    grows_in_proportion("unknown settings", 1_000, |size| {
        load(
            (0..size)
                .map(|number| format!("UNKNOWN_{number} = 1\n"))
                .collect(),
        )
    });
    grows_in_proportion("secrets", 2_000, |size| {
        let secrets = list(|number| format!("\"whsec_{number}\""), size);
        load(format!(
            "[[source]]\nname = \"S\"\nprovider = \"stripe\"\nsecrets = [{secrets}]\n"
        ))
    });
    grows_in_proportion("depth", 10_000, |size| {
        load(format!("a = {}", "[".repeat(size)))
    });
}

/// Each source is compared with every other one; the file is no longer than a limit says.
#[test]
fn as_many_sources_as_a_file_can_hold() {
    let source = |number| {
        format!(
            "[[source]]\nname=\"{number:x}\"\nprovider=\"stripe\"\nsecrets=\"whsec_{number:x}\"\n"
        )
    };
    let text: String = (0..).map(source).take(3_500).collect();
    assert!((200..256).contains(&(text.len() / 1024)), "{}", text.len());
    let took = took(&mut *load(text + "[[source]]\n"));
    assert!(took < super::LONGEST, "{took:?}");
}

/// A pattern is matched against every type: the worst of it against the worst type.
#[tokio::test]
async fn patterns() {
    async fn is_matched(database: Database) {
        let (event_type, pattern) = ("a".repeat(128), "*a".repeat(60) + "b");
        let batch = [ignore("evt_1", &event_type)];
        database.store.apply(&batch, at(0)).await.unwrap();
        let door = Door::of(Some(database.store.clone()));
        let path = format!("/api/v1/events?type={pattern}");
        let answer = tokio::time::timeout(Duration::from_secs(10), door.get(&path)).await;
        let answer = answer.expect("an answer in bounded time");
        assert_eq!(
            answer.body["events"].as_array().map(Vec::len),
            Some(0),
            "{answer:?}"
        );
    }
    is_matched(database::sqlite().await).await;
    is_matched(database::postgres().await).await;
}
