//! Only those who know the token; without one, only who asks this machine by a name of its own.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::Authority;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::api::Problem;

/// What browsers say of a request (W3C, "Fetch Metadata Request Headers").
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

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
        if !names_this_machine(&request) {
            Problem::ForeignHost.into_response()
        } else if is_of_another_site(&request) && !is_a_person_who_looks(&request) {
            Problem::ForeignPage.into_response()
        } else {
            next.run(request).await
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
    let says = request.headers().contains_key(SITE);
    let site = only_one(request, SITE).map(HeaderValue::as_bytes);
    says && !matches!(site, Some(b"same-origin" | b"none"))
}

/// Whether somebody follows a link to here: the page that has the link does not see the answer.
fn is_a_person_who_looks(request: &Request) -> bool {
    let is = |name, value: &str| only_one(request, name).is_some_and(|said| said == value);
    matches!(*request.method(), Method::GET | Method::HEAD)
        && is(MODE, "navigate")
        && is(DESTINATION, "document")
}
