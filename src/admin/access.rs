//! Only those who know the token; without one, only who asks this machine by a name of its own.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::Authority;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::api::Problem;

/// The same routes, for who sends this bearer token; others get 401 for everything.
///
/// Digests are compared, not tokens: how long that takes tells nothing about the token.
pub(super) fn only_with(token: &SecretString, routes: Router) -> Router {
    let expected = Sha256::digest(token.expose_secret());
    routes.layer(from_fn(move |request: Request, next: Next| async move {
        let given = only_one(&request, header::AUTHORIZATION);
        let given = given.and_then(|header| bearer(header.as_bytes()));
        if given.is_some_and(|given| Sha256::digest(given) == expected) {
            next.run(request).await
        } else {
            Problem::Unauthorized.into_response()
        }
    }))
}

/// What follows the scheme, whose letters may be of either case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"Bearer ";
    let (scheme, token) = header.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

/// The value of a header that is there once. Of two, somebody between here and the sender may have
/// looked at the other one.
fn only_one(request: &Request, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = request.headers().get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The same routes, for who asks for `localhost` or for an address, and is no page of another site.
///
/// Where there is no token it is the address alone that keeps others out, and a web page that somebody
/// on this machine looks at gets past that, if its own name is made to lead here.
pub(super) fn only_by_own_name(routes: Router) -> Router {
    routes.layer(from_fn(|request: Request, next: Next| async move {
        if names_this_machine(&request) && !is_of_another_site(&request) {
            next.run(request).await
        } else {
            Problem::ForeignHost.into_response()
        }
    }))
}

/// Whether every name in the request is one of this machine: the target's, if it has one, and the only
/// `Host`. HTTP/1.0 and tests may name nobody; browsers always do.
fn names_this_machine(request: &Request) -> bool {
    let target = request.uri().authority();
    let is_named = request.headers().contains_key(header::HOST);
    let host = only_one(request, header::HOST).map(HeaderValue::as_bytes);
    let host = host.and_then(|host| Authority::try_from(host).ok());
    target.is_none_or(is_own) && (!is_named || host.as_ref().is_some_and(is_own))
}

/// Nothing but such a name and a port: the parser would take `[::1].evil.example` for `[::1]`.
fn is_own(authority: &Authority) -> bool {
    let host = authority.host();
    let Some(rest) = authority.as_str().strip_prefix(host) else {
        return false;
    };
    let port = rest.strip_prefix(':').unwrap_or(rest);
    let is_whole = port.bytes().all(|byte| byte.is_ascii_digit());
    let address = host.trim_start_matches('[').trim_end_matches(']');
    is_whole && (host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok())
}

/// Whether a browser says that a page of another site asks. Other programs say nothing.
fn is_of_another_site(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}
