//! The one table of refusals: what happened, and what the sender is told.
//!
//! The status is chosen by what the sender should do next. Providers retry whatever is not 2xx, so
//! 4xx says that sending the same again cannot help and somebody has to change something, and 5xx
//! that it will help later. Texts name the remedy; they hold no secret and repeat nothing that the
//! sender wrote. The header `webhook-delivery`, with which an answer could switch off the endpoint
//! at Svix, is never sent.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use super::IngressState;
use crate::error_chain::ErrorChain;
use crate::provider::Rejection;
use crate::queue::PublishError;

/// The outcome of a request that gets a 2xx.
pub(super) const ACCEPTED: &str = "accepted";

/// Every outcome of a request that meant to deliver a webhook: [`ACCEPTED`], and the codes of the table.
pub(super) const OUTCOMES: [&str; 15] = [
    ACCEPTED,
    "unknown_source",
    "source_not_configured",
    "header_missing",
    "header_malformed",
    "timestamp_out_of_tolerance",
    "signature_mismatch",
    "body_too_large",
    "body_unreadable",
    "request_timeout",
    "too_busy",
    "not_durable",
    "method_not_allowed",
    "not_found",
    "internal",
];

/// How often one kind of refusal is told at most.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Why a request gets no 2xx. `Display` is the message in the answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no source has this name: check the last part of the URL")]
    UnknownSource,
    #[error("this source has no signing secret yet: set one and restart")]
    SourceNotConfigured,
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the body ended early or is not framed as its headers say")]
    BodyUnreadable(#[source] axum::Error),
    #[error("the body took longer than {} seconds to arrive", limit.as_secs_f32())]
    BodyTooSlow { limit: Duration },
    #[error("too many webhooks are being received: send it again later")]
    TooBusy,
    #[error("the event could not be stored durably: send it again later")]
    NotDurable(#[source] Unconfirmed),
    #[error("the part `queue` cannot store events now")]
    NotReady(#[source] Arc<Unconfirmed>),
    #[error("this path takes the methods {allow} only")]
    MethodNotAllowed { allow: &'static str },
    #[error("nothing is here: webhooks go to /webhooks/{{source}}")]
    NotFound,
    #[error("an internal error: send it again later")]
    Internal,
}

/// Refusals by source and code: a queue that is away refuses every request, and anybody can have
/// thousands of theirs refused. A log line for each would hide what else happens, and fill the disk that
/// the queue needs. What is refused for one source does not hide what is for another; all that are not
/// configured count as one.
#[derive(Debug, Default)]
pub(super) struct Alike {
    told: Mutex<BTreeMap<Kind, (Instant, u64)>>,
}

/// The place of a configured source, and a code.
type Kind = (Option<usize>, &'static str);

impl Alike {
    /// Counts one. `Some` if it is to be told: how many were not, since the last one that was.
    fn more_since_last_told(&self, kind: Kind) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let more = match told.get_mut(&kind) {
            Some((last, more)) if last.elapsed() < TELL_AGAIN => {
                *more += 1;
                return None;
            }
            Some((_, more)) => *more,
            None => 0,
        };
        told.insert(kind, (Instant::now(), 0));
        Some(more)
    }
}

/// Why the queue gave no proof.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unconfirmed {
    #[error(transparent)]
    Failed(#[from] PublishError),
    #[error("the queue did not confirm within {} ms", limit.as_millis())]
    TimedOut { limit: Duration },
}

/// A row of the table.
struct Row {
    status: StatusCode,
    /// Stable: people's scripts and alerts rely on it.
    code: &'static str,
    /// For a sender that asks when to come back; whole seconds.
    retry_after: Option<u16>,
}

impl Refusal {
    /// THE table.
    fn row(&self) -> Row {
        use StatusCode as S;
        let (status, code, retry_after) = match self {
            Self::UnknownSource => (S::NOT_FOUND, "unknown_source", None),
            Self::SourceNotConfigured => {
                (S::SERVICE_UNAVAILABLE, "source_not_configured", Some(60))
            }
            Self::Rejected(rejection) => match rejection {
                Rejection::MissingHeader { .. } => (S::BAD_REQUEST, "header_missing", None),
                Rejection::MalformedHeader { .. } => (S::BAD_REQUEST, "header_malformed", None),
                Rejection::OutOfTolerance { .. } => {
                    (S::UNAUTHORIZED, "timestamp_out_of_tolerance", None)
                }
                Rejection::SignatureMismatch { .. } => {
                    (S::UNAUTHORIZED, "signature_mismatch", None)
                }
            },
            Self::BodyTooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "body_too_large", None),
            Self::BodyUnreadable(_) => (S::BAD_REQUEST, "body_unreadable", None),
            Self::BodyTooSlow { .. } => (S::REQUEST_TIMEOUT, "request_timeout", None),
            Self::TooBusy => (S::SERVICE_UNAVAILABLE, "too_busy", Some(1)),
            Self::NotDurable(_) => (S::SERVICE_UNAVAILABLE, "not_durable", Some(5)),
            Self::NotReady(_) => (S::SERVICE_UNAVAILABLE, "not_ready", Some(5)),
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "method_not_allowed", None),
            Self::NotFound => (S::NOT_FOUND, "not_found", None),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", None),
        };
        Row {
            status,
            code,
            retry_after,
        }
    }

    /// Its stable code.
    pub(super) fn code(&self) -> &'static str {
        self.row().code
    }

    /// Writes the one log line about it, unless it is the like of many others. `source` is a known
    /// or at least a well-formed name, `place` that of a configured source.
    pub(super) fn log(&self, source: &str, place: Option<usize>, alike: &Alike) {
        let Row { status, code, .. } = self.row();
        let status = status.as_u16();
        let cause: Option<&Unconfirmed> = match self {
            Self::NotDurable(cause) => Some(cause),
            Self::NotReady(cause) => Some(cause),
            _ => None,
        };
        let more = alike.more_since_last_told((place, code));
        match cause {
            Some(cause) => {
                let error = ErrorChain(cause);
                match more {
                    Some(more) => tracing::error!(
                        source, code, status, more_since_last_told = more, %error,
                        "no confirm from the queue"
                    ),
                    None => tracing::debug!(
                        source, code, status, %error,
                        "no confirm from the queue"
                    ),
                }
            }
            None => match more {
                Some(more) if status >= 500 => tracing::warn!(
                    source,
                    code,
                    status,
                    more_since_last_told = more,
                    "webhook refused"
                ),
                Some(more) => tracing::info!(
                    source,
                    code,
                    status,
                    more_since_last_told = more,
                    "webhook refused"
                ),
                None => tracing::debug!(source, code, status, "webhook refused"),
            },
        }
    }

    /// The answer. When some of the request was not read (`unread`), the connection cannot be used
    /// again, and the answer says so.
    pub(super) fn into_response(self, unread: bool) -> Response {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: Inner<'a>,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            code: &'a str,
            message: &'a str,
        }

        let Row {
            status,
            code,
            retry_after,
        } = self.row();
        let message = self.to_string();
        let error = Inner {
            code,
            message: &message,
        };
        let mut response = json(status, &Envelope { error });
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Self::MethodNotAllowed { allow } = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if unread {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// An answer with a JSON body, which no cache between here and the sender may keep.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // What is sent is made of strings, which always serialise.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// For a request that is refused before it is known which source it is for.
fn count(state: &IngressState, refusal: &Refusal) {
    state.counts(None).ended(refusal.code());
}

/// The answer where there is no route.
pub(super) async fn not_found(State(state): State<IngressState>, request: Request) -> Response {
    count(&state, &Refusal::NotFound);
    Refusal::NotFound.into_response(!request.body().is_end_stream())
}

/// The answer to a method that the path of a source does not know.
pub(super) async fn webhook_method_not_allowed(
    State(state): State<IngressState>,
    request: Request,
) -> Response {
    let allow = "GET, HEAD, POST";
    let refusal = Refusal::MethodNotAllowed { allow };
    count(&state, &refusal);
    refusal.into_response(!request.body().is_end_stream())
}

/// The answer to a method that the health paths do not know.
pub(super) async fn health_method_not_allowed(request: Request) -> Response {
    let allow = "GET, HEAD";
    Refusal::MethodNotAllowed { allow }.into_response(!request.body().is_end_stream())
}

/// Turns a panic into an answer, so that the sender retries and other requests on the connection
/// are not cut. The panic's text goes to the panic hook only.
pub(super) async fn catch_panic(
    State(state): State<IngressState>,
    request: Request,
    next: Next,
) -> Response {
    // Nothing behind this is left half-changed: handlers own what they work on, and the shared
    // state consists of semaphores and locks that are released on unwinding.
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            tracing::error!("a handler panicked; its request was answered with 500");
            count(&state, &Refusal::Internal);
            Refusal::Internal.into_response(true)
        })
}
