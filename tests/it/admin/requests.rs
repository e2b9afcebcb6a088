//! What is said about a request that cannot be answered.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::json;

use super::door::{Door, post};
use crate::support::database;

#[tokio::test]
async fn every_problem_of_a_request_is_told_at_once() {
    let database = database::sqlite().await;
    let door = Door::of(Some(database.store.clone()));
    let path = "/api/v1/events?state=broken&state=failed&since=yesterday&limit=0&colour=red&source=A&\
                subject=a&subject=b";
    let answer = door.get(path).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code(), "invalid_request");
    for told in [
        "state: not a state; the states are",
        "since: not a time",
        "limit: write a number from 1 to 1000",
        "\"colour\" is no parameter",
        "source: a source is named by",
        "subject is given more than once",
    ] {
        assert!(answer.message().contains(told), "{told}: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_is_bounded_and_has_to_be_understood() {
    let door = Door::of(None);
    let path = "/api/v1/outbox/discard";
    let large = door
        .post(path, &json!({"users": ["x".repeat(70_000)]}))
        .await;
    assert_eq!(
        (large.status, large.code()),
        (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
    );
    let mut broken = post(path, &json!(null));
    *broken.body_mut() = Body::from("{\"users\": [");
    assert_eq!(door.ask(broken).await.code(), "invalid_request");
    let odd = door
        .post(path, &json!({"users": ["a b", "user_a", "ü"]}))
        .await;
    assert_eq!(odd.message().matches("not a user id").count(), 2, "{odd:?}");
}

/// A filter that is written wrong must not mean everything.
#[tokio::test]
async fn what_a_body_says_beyond_what_is_known_is_refused() {
    let door = Door::of(None);
    for (path, body) in [
        ("/api/v1/events/retry", json!({"filtre": {"source": "a"}})),
        ("/api/v1/events/preview", json!({"source": "a"})),
        (
            "/api/v1/events/discard",
            json!({"all": true, "state": "failed"}),
        ),
        ("/api/v1/replays", json!({"all": true, "limits": 1})),
        ("/api/v1/replays/1/cancel", json!({"dry": true})),
        (
            "/api/v1/sources/pause",
            json!({"sources": ["a"], "why": "x"}),
        ),
    ] {
        let answer = door.post(path, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
        assert!(answer.message().contains("unknown field"), "{answer:?}");
    }
    // What is known is understood, whichever part of the program it is for.
    let known = json!({"filter": {"source": "a"}, "all": false, "execute": true, "reason": "x",
                       "operator": "ann"});
    let answer = door.post("/api/v1/events/retry", &known).await;
    assert_eq!(answer.code(), "no_database", "{answer:?}");
}

#[tokio::test]
async fn other_paths_and_methods_are_told_apart() {
    let door = Door::of(None);
    let answer = door.get("/api/v1/nothing").await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::NOT_FOUND, "not_found")
    );
    let answer = door.get("/api/v1/outbox/retry/all/of/it").await;
    assert_eq!(answer.code(), "not_found");
    let request = Request::builder()
        .method(Method::DELETE)
        .uri("/api/v1/events");
    let answer = door.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
    );
}

#[tokio::test]
async fn a_process_without_the_database_says_so() {
    let door = Door::of(None);
    let answer = door.get("/api/v1/events").await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "no_database")
    );
}

#[tokio::test]
async fn nobody_keeps_an_answer() {
    use hyper::service::Service;
    let door = Door::of(None);
    for path in ["/api/v1/events", "/api/v1/openapi.json"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = door.service().call(request).await.unwrap();
        assert_eq!(
            response.headers()[header::CACHE_CONTROL],
            "no-store",
            "{path}"
        );
    }
}
