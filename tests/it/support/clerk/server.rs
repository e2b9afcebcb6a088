//! The fake behind real HTTP, on loopback.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hookmirror::model::user::UserId;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{FakeClerk, Sent};

/// Serves until it is dropped.
pub(crate) struct ClerkServer {
    address: SocketAddr,
    accepting: JoinHandle<Infallible>,
}

/// Ends a connection without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the test wants the connection cut")
    }
}

impl std::error::Error for Cut {}

impl ClerkServer {
    /// Serves this Clerk to whoever has this key.
    pub(crate) async fn start(clerk: Arc<FakeClerk>, key: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let clerk = Arc::clone(&clerk);
                let service = service_fn(move |request| answer(Arc::clone(&clerk), key, request));
                // Ends with an error when it is cut, as it should.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, accepting }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.address.port())
    }

    /// What to set `CLERK_API_URL` to.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

impl Drop for ClerkServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(
    clerk: Arc<FakeClerk>,
    key: &str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    assert_eq!(request.method(), Method::PATCH);
    let path = request.uri().path();
    let user = path
        .strip_prefix("/v1/users/")
        .and_then(|path| path.strip_suffix("/metadata"))
        .and_then(UserId::parse)
        .unwrap();
    let authorization = request.headers().get(AUTHORIZATION);
    let key_is_known =
        authorization.is_some_and(|value| value.as_bytes() == format!("Bearer {key}").as_bytes());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let response = Response::builder().header(CONTENT_TYPE, "application/json");
    let (response, body) = match clerk.receive(&user, &body, key_is_known).await {
        Sent::User(user) => (response.status(200), user),
        Sent::Refused(refused) => {
            let response = match refused.retry_after {
                Some(wait) => response.header(RETRY_AFTER, wait.as_secs()),
                None => response,
            };
            (response.status(refused.status), refused.body)
        }
        Sent::Nothing => return Err(Cut),
    };
    Ok(response.body(Full::from(body.to_string())).unwrap())
}
