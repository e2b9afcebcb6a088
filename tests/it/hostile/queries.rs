//! What the private listener is asked: it answers, or says what it does not understand; no words make
//! the database refuse a statement.
//!
//! An input is the query of a URL.

use http::{Request, StatusCode};

use super::Inputs;
use crate::admin::door::Door;
use crate::support::database::{self, Database};
use crate::support::given::{at, failing, ignore};

const WORDS: &[&str] = &[
    "state=",
    "failed",
    "source=",
    "stripe",
    "type=",
    "*",
    "?",
    "[",
    "]",
    "%",
    "_",
    "\\",
    "%00",
    "%ff",
    "%c3%28",
    "subject=",
    "since=",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "until=",
    "%2B262142-12-31T23:59:59Z",
    "-262143-01-01",
    "id=",
    "evt_1",
    "fingerprint=",
    "error=",
    "limit=",
    "4294967296",
    "after=",
    "stripe/evt_1",
    "&",
    "=",
    "'",
    "\"",
    ";",
    "--",
    "+",
];

async fn only_answers_or_explains(database: &Database, inputs: Inputs) {
    let batch = [
        ignore("evt_1", "a.type"),
        failing("evt_2", "b.type", "data.object"),
    ];
    database.store.apply(&batch, at(0)).await.unwrap();
    let door = Door::of(Some(database.store.clone()));
    let (mut answered, mut explained) = (0, 0);
    for input in inputs {
        let query: String = input
            .bytes
            .iter()
            .map(|byte| match byte {
                b'!'..=b'~' if !b"\"#<>`{}|^\\".contains(byte) => char::from(*byte).to_string(),
                other => format!("%{other:02x}"),
            })
            .collect();
        let path = format!("/api/v1/events?{query}");
        // Longer ones are no URL to the HTTP library either.
        if let Ok(request) = Request::get(path).body(axum::body::Body::empty()) {
            let answer = door.ask(request).await;
            match answer.status {
                StatusCode::OK => answered += 1,
                StatusCode::BAD_REQUEST => explained += 1,
                _ => panic!("{query}: {answer:?}"),
            }
        }
        input.survived();
    }
    assert!(
        answered > 20 && explained > 20,
        "{answered} and {explained}"
    );
}

#[tokio::test]
async fn a_query_is_answered_from_a_file_or_explained() {
    let inputs = Inputs::new("query", WORDS, []);
    only_answers_or_explains(&database::sqlite().await, inputs).await;
}

#[tokio::test]
async fn a_query_is_answered_by_a_server_or_explained() {
    let inputs = Inputs::new("query", WORDS, []);
    only_answers_or_explains(&database::postgres().await, inputs).await;
}

/// Nor does a part of a path, or of a body.
#[tokio::test]
async fn no_name_that_is_asked_for_makes_the_server_refuse() {
    let database = database::postgres().await;
    let door = Door::of(Some(database.store.clone()));
    for path in [
        "events/%00/evt_1",
        "events/stripe/%00",
        "timeline/%00",
        "failures/%00",
        "outbox/%00",
        "users/%00",
        "replays/%00",
        "replays/1%00",
    ] {
        let request = Request::get(format!("/api/v1/{path}"));
        let answer = door
            .ask(request.body(axum::body::Body::empty()).unwrap())
            .await;
        let status = answer.status;
        assert!(status.is_client_error(), "{path}: {answer:?}");
    }
    let body = r#"{"fingerprints":["\u0000"],"operator":"ada"}"#;
    for deed in ["acknowledge", "resolve", "reopen"] {
        let request = Request::post(format!("/api/v1/failures/{deed}"))
            .header("content-type", "application/json");
        let answer = door.ask(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{deed}: {answer:?}");
    }
}
