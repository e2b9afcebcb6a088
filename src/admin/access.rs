//! Only those who know the token.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

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
            refuse()
        }
    }))
}

/// What follows the scheme, whose letters may be of either case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"Bearer ";
    let (scheme, token) = header.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

fn refuse() -> Response {
    let ask = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, ask, "a bearer token is needed\n").into_response()
}
