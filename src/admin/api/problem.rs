//! Why a request is refused: the one table of codes. The shape is that of the public listener.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error_chain::ErrorChain;
use crate::store::StoreError;

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(in crate::admin) enum Problem {
    /// No token, or another one.
    Unauthorized,
    /// The request names a host that is not this machine: a web page may be behind it.
    ForeignHost,
    /// A browser says that a page of another site asks.
    ForeignPage,
    /// What was sent cannot be understood: every reason.
    Invalid(Vec<String>),
    /// The body is not said to be JSON.
    NotJson,
    /// The body is larger than any request needs.
    TooLarge,
    /// There is no such thing, or no such path.
    NotFound(String),
    /// The path knows other methods.
    MethodNotAllowed,
    /// It can be understood, but must not be done as things are.
    Conflict(String),
    /// This process has no part in it.
    NoDatabase,
    /// The database cannot be used now.
    Database(StoreError),
    /// Something else that is needed cannot be used now: what, and why.
    Unavailable(String),
    /// The answer took too long.
    TooSlow,
}

impl Problem {
    /// One thing that cannot be understood.
    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(vec![what.into()])
    }

    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::ForeignHost => (StatusCode::FORBIDDEN, "foreign_host"),
            Self::ForeignPage => (StatusCode::FORBIDDEN, "foreign_page"),
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::NoDatabase => (StatusCode::SERVICE_UNAVAILABLE, "no_database"),
            Self::Database(_) => (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, "too_slow"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Unauthorized => {
                "send the token: Authorization: Bearer, as HOOKMIRROR_ADMIN_TOKEN says".to_owned()
            }
            Self::ForeignHost => {
                "without HOOKMIRROR_ADMIN_TOKEN only requests to localhost or to an \
                                  IP address are answered"
                    .to_owned()
            }
            Self::ForeignPage => "a page of another site asks (Sec-Fetch-Site), and none may; \
                                  open the address itself"
                .to_owned(),
            Self::Invalid(problems) => problems.join("; "),
            Self::NotJson => "send JSON, with Content-Type: application/json".to_owned(),
            Self::TooLarge => "the body is larger than 64 KiB".to_owned(),
            Self::NotFound(what) | Self::Conflict(what) | Self::Unavailable(what) => what.clone(),
            Self::MethodNotAllowed => {
                "this path knows other methods: see /api/v1/openapi.json".to_owned()
            }
            Self::NoDatabase => {
                "this process has no database: ask one that runs `work`, `dispatch` or \
                                 `run`"
                    .to_owned()
            }
            Self::Database(error) => ErrorChain(error).to_string(),
            Self::TooSlow => "the answer took too long; nothing is known of what came of it: look \
                              before asking again"
                .to_owned(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Database(error)
    }
}

/// A refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorInner,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorInner {
    /// A stable word.
    code: &'static str,
    /// For people.
    message: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code) = self.row();
        let message = self.message();
        let error = ErrorInner { code, message };
        let mut response = (status, axum::Json(ErrorBody { error })).into_response();
        if matches!(self, Self::Unauthorized) {
            let ask = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response
    }
}
