//! Only those who know the token; without one, only who asks this machine by a name of its own.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use http::header;
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
        let header = request.headers().get(header::AUTHORIZATION);
        let given = header.and_then(|header| bearer(header.as_bytes()));
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

/// The same routes, for who asks for `localhost` or for an address.
///
/// Where there is no token it is the address alone that keeps others out, and a web page that somebody
/// on this machine looks at gets past that, if its own name is made to lead here.
pub(super) fn only_by_own_name(routes: Router) -> Router {
    routes.layer(from_fn(|request: Request, next: Next| async move {
        if names_this_machine(&request) {
            next.run(request).await
        } else {
            Problem::ForeignHost.into_response()
        }
    }))
}

fn names_this_machine(request: &Request) -> bool {
    let header = request.headers().get(header::HOST);
    let authority = header.map_or_else(
        || request.uri().authority().cloned(),
        |host| Authority::try_from(host.as_bytes()).ok(),
    );
    // HTTP/1.0 and tests may name nobody; browsers always do.
    let Some(authority) = authority else {
        return header.is_none();
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}
