//! Who is let in.

use axum::body::Body;
use hookmirror::admin::api::description;
use http::{Method, Request, StatusCode, header};
use serde_json::Value;

use super::door::{Door, TOKEN, post};

/// Every path with its method, from the description that is served.
fn routes() -> Vec<(Method, String)> {
    let description = serde_json::to_value(description()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let mut routes: Vec<(Method, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| {
                let method = method.to_uppercase().parse().unwrap();
                (method, path.replace(['{', '}'], ""))
            })
        })
        .collect();
    assert!(routes.len() > 5, "the description has lost its paths");
    routes.push((Method::GET, "/metrics".to_owned()));
    routes.push((Method::GET, "/api/v1/openapi.json".to_owned()));
    routes
}

fn request(method: &Method, path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = match *method {
        Method::POST => post(path, &Value::Null),
        _ => Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap(),
    };
    if let Some(authorization) = authorization {
        let value = authorization.parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    request
}

#[tokio::test]
async fn every_route_wants_the_token() {
    let door = Door::with_token(None, Some(TOKEN));
    let wrong = [
        None,
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {TOKEN}x")),
        Some(format!("Bearer {}", &TOKEN[1..])),
        Some(format!("Basic {TOKEN}")),
        Some(TOKEN.to_owned()),
    ];
    for (method, path) in routes() {
        for given in &wrong {
            let answer = door.ask(request(&method, &path, given.as_deref())).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.code(), "unauthorized", "{method} {path} {given:?}");
        }
        let right = format!("bearer {TOKEN}");
        let answer = door.ask(request(&method, &path, Some(&right))).await;
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND];
        assert!(
            !refused.contains(&answer.status),
            "{method} {path}: {answer:?}"
        );
    }
    let elsewhere = door.get("/api/v1/nothing").await;
    assert_eq!(
        elsewhere.status,
        StatusCode::UNAUTHORIZED,
        "tells what exists"
    );
}

#[tokio::test]
async fn without_a_token_a_web_page_under_another_name_is_refused() {
    let door = Door::of(None);
    for (method, path) in routes() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8081",
            "",
        ] {
            let mut request = request(&method, &path, None);
            request
                .headers_mut()
                .insert(header::HOST, host.parse().unwrap());
            let answer = door.ask(request).await;
            assert_eq!(answer.code(), "foreign_host", "{method} {path} {host:?}");
        }
    }
    for host in [
        "localhost",
        "LOCALHOST:8081",
        "127.0.0.1:8081",
        "[::1]:8081",
        "10.0.0.7",
    ] {
        let mut request = request(&Method::GET, "/metrics", None);
        request
            .headers_mut()
            .insert(header::HOST, host.parse().unwrap());
        assert_eq!(door.ask(request).await.status, StatusCode::OK, "{host}");
    }
}

/// Names in two places, in odd forms, and what a browser says of the page that asks.
#[tokio::test]
async fn without_a_token_every_name_in_a_request_is_one_of_this_machine() {
    let door = Door::of(None);
    let asked = |target: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        door.ask(request.body(Body::empty()).unwrap())
    };
    const OWN: (&str, &str) = ("host", "localhost:8081");
    const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
    let absolute = "http://localhost:8081/metrics";
    for (target, headers) in [
        ("http://evil.example/metrics", &[OWN][..]),
        ("http://evil.example/metrics", &[]),
        (absolute, &[("host", "evil.example")]),
        ("/metrics", &[OWN, ("host", "evil.example")]),
        ("/metrics", &[OWN, OWN]),
        ("/metrics", &[("host", "localhost@evil.example")]),
        ("/metrics", &[("host", "evil@localhost")]),
        ("/metrics", &[("host", "localhost.")]),
        ("/metrics", &[("host", "[::1].evil.example")]),
        ("/metrics", &[("host", "127.0.0.1.")]),
        ("/metrics", &[("host", "0x7f.1")]),
    ] {
        let answer = asked(target, headers).await;
        assert_eq!(answer.code(), "foreign_host", "{target} {headers:?}");
    }
    const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
    for headers in [
        &[OWN, CROSS][..],
        &[OWN, ("sec-fetch-site", "same-site")],
        &[OWN, ("sec-fetch-site", "none"), CROSS],
        &[OWN, CROSS, NAVIGATE],
        &[OWN, CROSS, NAVIGATE, ("sec-fetch-dest", "iframe")],
        &[OWN, CROSS, ("sec-fetch-mode", "no-cors"), DOCUMENT],
    ] {
        let answer = asked("/metrics", headers).await;
        assert_eq!(answer.code(), "foreign_page", "{headers:?}");
    }
    for (target, headers) in [
        (absolute, &[OWN][..]),
        ("/metrics", &[]),
        ("/metrics", &[("host", "[::1]")]),
        ("/metrics", &[OWN, ("sec-fetch-site", "none")]),
        ("/metrics", &[OWN, ("sec-fetch-site", "same-origin")]),
        // Somebody follows a link.
        ("/metrics", &[OWN, CROSS, NAVIGATE, DOCUMENT]),
    ] {
        let answer = asked(target, headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{target} {headers:?}");
    }
}

/// A page may ask whether it may ask: nothing says that it may, with or without a token.
#[tokio::test]
async fn no_page_of_another_origin_is_told_that_it_may_ask() {
    use hyper::service::Service;
    for token in [None, Some(TOKEN)] {
        let door = Door::with_token(None, token);
        for (_, path) in routes() {
            let preflight = Request::options(&path)
                .header(header::HOST, "localhost")
                .header(header::ORIGIN, "http://evil.example")
                .header("access-control-request-method", "POST")
                .body(Body::empty())
                .unwrap();
            let answer = door.service().call(preflight).await.unwrap();
            assert!(!answer.status().is_success(), "{path}");
            let mut names = answer.headers().keys();
            assert!(
                !names.any(|name| name.as_str().starts_with("access-control")),
                "{path}"
            );
        }
    }
}

/// Whatever is wrong with a token, and whatever path it is for: the same bytes.
#[tokio::test]
async fn an_answer_to_a_wrong_token_tells_nothing() {
    let door = Door::with_token(None, Some(TOKEN));
    let right = format!("Bearer {TOKEN}");
    let mut texts = std::collections::BTreeSet::new();
    for (method, path) in routes() {
        for given in [
            &[][..],
            &["Bearer x"],
            &[&format!("Bearer {}", &TOKEN[..TOKEN.len() - 1])],
            &[&right, &right],
            &["Bearer x", &right],
            &[&right, "Bearer x"],
        ] {
            let mut request = request(&method, &path, None);
            for value in given {
                let value = value.parse().unwrap();
                request.headers_mut().append(header::AUTHORIZATION, value);
            }
            let answer = door.ask(request).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {given:?}");
            texts.insert(answer.text);
        }
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn what_a_web_page_can_send_without_asking_changes_nothing() {
    let door = Door::of(None);
    for (method, path) in routes() {
        if method != Method::POST {
            continue;
        }
        for kind in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("text/plain; application/json"),
        ] {
            let mut request = post(&path, &Value::Null);
            request.headers_mut().remove(header::CONTENT_TYPE);
            if let Some(kind) = kind {
                let kind = kind.parse().unwrap();
                request.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            let answer = door.ask(request).await;
            assert_eq!(answer.code(), "not_json", "{path} {kind:?}");
        }
    }
}
