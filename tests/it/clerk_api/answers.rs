//! The client against answers that are made up, byte by byte, and against none.

use std::error::Error;
use std::time::Duration;

use hookmirror::clerk_api::http::{HttpClerkApi, HttpClerkApiError};
use hookmirror::clerk_api::{ClerkApi, ClerkApiError, Disposition};
use hookmirror::model::user::UserId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const KEY: &str = "sk_test_ThisKeyMustNotBeSeen";

/// Answers one request with these bytes, then cuts the connection. Comes to the request.
async fn answering(answer: impl Into<String>) -> (String, JoinHandle<String>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, request) = request(&listener).await;
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, server)
}

/// Takes one request in whole.
async fn request(listener: &TcpListener) -> (TcpStream, Vec<u8>) {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    // The body of every request here ends so, and no head does.
    while !request.ends_with(b"}") {
        assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0);
    }
    (connection, request)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

fn error_body(code: &str) -> String {
    let detail = "jane.doe@example.com is not welcome";
    json!({ "errors": [{ "message": detail, "long_message": detail, "code": code }] }).to_string()
}

async fn call(url: &str) -> Result<(), ClerkApiError> {
    let api = HttpClerkApi::new(url, KEY.into()).unwrap();
    let user = UserId::parse("user_1").unwrap();
    api.merge_public_metadata(&user, &metadata(), None).await
}

fn metadata() -> Value {
    json!({ "stripe": { "paid": true } })
}

/// Everything that a log or a terminal could show of an error.
fn shown(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    if let Some(source) = error.source() {
        text += &shown(source);
    }
    text
}

#[tokio::test]
async fn the_request_is_the_one_that_clerk_documents() {
    let (url, server) = answering(answer("200 OK", "", "{}")).await;
    call(&url).await.unwrap();

    let request = server.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(
        lines.next(),
        Some("PATCH /v1/users/user_1/metadata HTTP/1.1")
    );
    let headers: Vec<String> = lines.map(str::to_owned).collect();
    for expected in [
        format!("authorization: Bearer {KEY}"),
        "clerk-api-version: 2025-11-10".to_owned(),
        "content-type: application/json".to_owned(),
        format!("user-agent: hookmirror/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(headers.contains(&expected), "{expected} in {headers:?}");
    }
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, json!({ "public_metadata": metadata() }));
}

#[tokio::test]
async fn a_slash_after_the_address_makes_no_difference() {
    let (url, server) = answering(answer("200 OK", "", "{}")).await;
    call(&format!("{url}/")).await.unwrap();
    let request = server.await.unwrap();
    assert!(request.starts_with("PATCH /v1/users/user_1/metadata "));
}

#[tokio::test]
async fn refusals_carry_status_code_and_pause() {
    let date =
        "date: Sat, 21 Nov 2026 10:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 10:01:30 GMT\r\n";
    let past =
        "date: Sat, 21 Nov 2026 10:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 09:00:00 GMT\r\n";
    let table = [
        (
            "429 Too Many Requests",
            "retry-after: 7\r\n",
            "too_many_requests",
            Some(7),
        ),
        ("429 Too Many Requests", date, "too_many_requests", Some(90)),
        ("429 Too Many Requests", past, "too_many_requests", Some(0)),
        (
            "429 Too Many Requests",
            "retry-after: soon\r\n",
            "too_many_requests",
            None,
        ),
        ("401 Unauthorized", "", "clerk_key_invalid", None),
        ("404 Not Found", "", "resource_not_found", None),
        ("409 Conflict", "", "resource_locked", None),
        ("422 Unprocessable Entity", "", "form_param_unknown", None),
        (
            "500 Internal Server Error",
            "retry-after: 3\r\n",
            "internal_clerk_error",
            Some(3),
        ),
    ];
    for (line, headers, expected_code, expected_pause) in table {
        let (url, _server) = answering(answer(line, headers, &error_body(expected_code))).await;
        let error = call(&url).await.unwrap_err();
        let ClerkApiError::Answered {
            status,
            code,
            retry_after,
        } = &error
        else {
            panic!("{line}: {error:?}");
        };
        assert!(line.starts_with(&status.to_string()), "{line}: {status}");
        assert_eq!(code, expected_code);
        assert_eq!(
            *retry_after,
            expected_pause.map(Duration::from_secs),
            "{line} {headers}"
        );
        assert!(
            !shown(&error).contains("jane.doe"),
            "an answer quotes the user"
        );
        assert!(!shown(&error).contains(KEY));
    }
}

#[tokio::test]
async fn a_code_that_does_not_look_like_one_is_not_shown() {
    let long = "x".repeat(65);
    for body in [
        String::new(),
        "<html>bad gateway</html>".to_owned(),
        json!({ "errors": [] }).to_string(),
        error_body(""),
        error_body("two words"),
        error_body("\u{1b}[31mred"),
        error_body(&long),
    ] {
        let (url, _server) = answering(answer("502 Bad Gateway", "", &body)).await;
        let error = call(&url).await.unwrap_err();
        let ClerkApiError::Answered {
            status: 502, code, ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(code, "no_code", "for {body}");
    }
}

#[tokio::test]
async fn success_whose_body_breaks_off_is_success() {
    let (url, _server) = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
    call(&url).await.unwrap();
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = request(&listener).await;
        let head = "HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n";
        connection.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        // Ends when the client has had enough and hangs up.
        let mut written = 0;
        while connection.write_all(chunk.as_bytes()).await.is_ok() {
            written += chunk.len();
        }
        written
    });
    let error = call(&url).await.unwrap_err();
    assert!(matches!(error, ClerkApiError::Answered { status: 500, .. }));
    // What the client reads, and what fits into the buffers between the two. A client without a
    // bound takes hundreds of megabytes before its time is up.
    let written = server.await.unwrap();
    assert!(written < 32 * 1024 * 1024, "{written} bytes");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let (url, _server) = answering(answer("307 Temporary Redirect", &location, "")).await;
    let error = call(&url).await.unwrap_err();
    assert!(matches!(error, ClerkApiError::Answered { status: 307, .. }));
}

#[tokio::test]
async fn no_answer_is_worth_another_try_and_says_why_without_the_key() {
    // Cut in the middle of the head; the connection refused; never an answer.
    let (cut, _server) = answering("HTTP/1.1 200").await;
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = format!("http://{}/v1", closed.local_addr().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = format!("http://{}/v1", silent.local_addr().unwrap());

    for url in [cut, refused, mute] {
        let timeout = Duration::from_millis(200);
        let api = HttpClerkApi::with_timeout(&url, KEY.into(), timeout).unwrap();
        let user = UserId::parse("user_1").unwrap();
        let error = api
            .merge_public_metadata(&user, &metadata(), None)
            .await
            .unwrap_err();
        assert!(matches!(error, ClerkApiError::NoAnswer(_)), "{error:?}");
        assert_eq!(error.disposition(), Disposition::Retry);
        let text = shown(&error);
        assert!(!text.contains(KEY) && !text.contains("user_1"), "{text}");
        assert!(error.source().is_some());
    }
}

#[test]
fn the_key_and_credentials_in_the_address_are_not_shown() {
    let api = HttpClerkApi::new("https://api.clerk.com/v1", KEY.into()).unwrap();
    let text = format!("{api:?} {api:#?}");
    assert!(
        text.contains("api.clerk.com") && !text.contains(KEY),
        "{text}"
    );

    let bad_key = format!("{KEY}\n");
    let error = HttpClerkApi::new("https://api.clerk.com/v1", bad_key.into()).unwrap_err();
    assert!(matches!(error, HttpClerkApiError::BadKey));
    assert!(!shown(&error).contains(KEY));
    let error = HttpClerkApi::new("https://api.clerk.com/v1", "".into()).unwrap_err();
    assert!(matches!(error, HttpClerkApiError::BadKey));

    for url in [
        "api.clerk.com/v1",
        "ftp://api.clerk.com/v1",
        "https://me:hunter2@api.clerk.com/v1",
        "https://api.clerk.com/v1?key=hunter2",
    ] {
        let error = HttpClerkApi::new(url, KEY.into()).unwrap_err();
        assert!(matches!(error, HttpClerkApiError::BadUrl), "{url}");
        assert!(!shown(&error).contains("hunter2"));
    }
}
