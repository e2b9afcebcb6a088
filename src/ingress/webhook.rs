//! The webhook handler: one for all sources.

use axum::body::{Body, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::Fuse;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::IngressState;
use super::body;
use super::error::{ACCEPTED, Refusal, Unconfirmed, json};
use crate::model::event::{Event, EventId};
use crate::model::source::SourceName;
use crate::provider::{self, UnverifiedWebhook};
use crate::queue::Confirmed;
use crate::traces::{Span, SpanKind};

/// The source's name in the path. A segment that is no UTF-8 once decoded names no source either.
type SourcePath = Result<Path<String>, PathRejection>;

/// `POST /webhooks/{source}`
pub(super) async fn receive(
    State(state): State<IngressState>,
    path: SourcePath,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let name = source_name(path);
    let (head, body) = request.into_parts();
    let mut body = body.fuse();
    let counts = state.counts(name.as_ref());
    let response = match accept(&state, name.as_ref(), &head.headers, &mut body, begun).await {
        Ok(response) => {
            counts.ended(ACCEPTED);
            response
        }
        Err(refusal) => {
            counts.ended(refusal.code());
            refuse(&state, refusal, name.as_ref(), !body.is_end_stream())
        }
    };
    state.0.metrics.took(begun.elapsed());
    response
}

/// `GET` and `HEAD /webhooks/{source}`: lets people and dashboards check the URL that they are about
/// to give to the provider.
pub(super) async fn describe(State(state): State<IngressState>, path: SourcePath) -> Response {
    #[derive(Serialize)]
    struct Ready<'a> {
        status: &'a str,
        source: &'a str,
    }

    let name = source_name(path);
    match state.verifier(name.as_ref()) {
        Ok(verifier) => json(
            StatusCode::OK,
            &Ready {
                status: "ready",
                source: verifier.source().name.as_str(),
            },
        ),
        Err(refusal) => refuse(&state, refusal, name.as_ref(), false),
    }
}

/// From a request to a durable event. The order is the point: what is cheap to refuse comes first,
/// and nothing that is not verified goes past the verifier.
async fn accept(
    state: &IngressState,
    name: Option<&SourceName>,
    headers: &HeaderMap,
    body: &mut Fuse<Body>,
    begun: Instant,
) -> Result<Response, Refusal> {
    let shared = &state.0;
    let limits = &shared.limits;
    let verifier = state.verifier(name)?;
    let received_at = shared.clock.now();
    let claim = verifier.read_claim(headers, received_at)?;

    let reading = body::read(body, limits.max_body_bytes, &shared.budget);
    // Kept to the end: the bytes are in memory until the event is the queue's.
    let buffered = timeout(limits.request_timeout, reading)
        .await
        .map_err(|_| Refusal::BodyTooSlow {
            limit: limits.request_timeout,
        })??;

    let webhook = UnverifiedWebhook {
        claim,
        headers,
        body: buffered.bytes.clone(),
        received_at,
    };
    let verified = provider::verify(verifier, webhook)?;
    let counts = state.counts(name);
    counts.secret_used(verified.secret_index(), received_at);
    let mut event = verified.into_event();
    let parent = event.trace;
    let context = shared.traces.begin(parent);
    event.trace = Some(context);
    let (key, event_type) = (event.key.clone(), event.event_type.clone());
    let published = publish(state, event).await;
    shared.traces.end(context, || Span {
        name: "POST /webhooks/{source}",
        kind: SpanKind::Server,
        context,
        parent,
        began_at: received_at,
        took: begun.elapsed(),
        attributes: vec![
            ("event.source", key.source.as_str().into()),
            ("event.id", key.id.as_str().into()),
            ("event.type", event_type.as_str().into()),
        ],
        failed: published.is_err(),
    });
    let confirmed = published.map_err(Refusal::NotDurable)?;

    tracing::debug!(
        source = %key.source, event.id = %key.id, event.r#type = %event_type,
        trace_id = context.trace_id_text(),
        "webhook accepted"
    );
    Ok(accepted(&key.id, confirmed))
}

/// Waits for the queue's proof, but no longer than the provider waits for us: one that has hung up
/// does not see the 503 that tells it when to come again.
async fn publish(state: &IngressState, event: Event) -> Result<Confirmed, Unconfirmed> {
    let limit = state.0.limits.confirm_timeout;
    let begun = Instant::now();
    let confirmed = timeout(limit, state.0.publisher.publish(event))
        .await
        .map_err(|_| Unconfirmed::TimedOut { limit })??;
    state.0.metrics.confirmed_after(begun.elapsed());
    Ok(confirmed)
}

/// The only 2xx to a webhook. It takes the proof, so it cannot be called without one.
fn accepted(id: &EventId, _proof: Confirmed) -> Response {
    #[derive(Serialize)]
    struct Accepted<'a> {
        status: &'a str,
        id: &'a EventId,
    }

    json(
        StatusCode::ACCEPTED,
        &Accepted {
            status: "accepted",
            id,
        },
    )
}

fn refuse(
    state: &IngressState,
    refusal: Refusal,
    name: Option<&SourceName>,
    unread: bool,
) -> Response {
    let text = name.map_or("(not a name)", SourceName::as_str);
    refusal.log(text, state.place(name), &state.0.alike);
    refusal.into_response(unread)
}

fn source_name(path: SourcePath) -> Option<SourceName> {
    let Path(text) = path.ok()?;
    SourceName::parse(&text)
}
