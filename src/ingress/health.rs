//! Whether the process runs, and whether it could take an event now.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::IngressState;
use super::error::{Refusal, Unconfirmed, json};

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// `GET /livez`: depends on nothing, so that an outage elsewhere does not restart this process.
pub(super) async fn alive() -> Response {
    json(StatusCode::OK, &Status { status: "alive" })
}

/// `GET /readyz`: by a durable write, the same way that an event takes.
pub(super) async fn ready(State(state): State<IngressState>) -> Response {
    let limit = state.0.limits.confirm_timeout;
    let result = match timeout(limit, state.0.readiness.prove(&state)).await {
        Ok(result) => result,
        Err(_) => Err(Unconfirmed::TimedOut { limit }),
    };
    match result {
        Ok(()) => json(StatusCode::OK, &Status { status: "ready" }),
        Err(unconfirmed) => {
            let refusal = Refusal::NotReady(unconfirmed);
            refusal.log("readyz");
            refusal.into_response(false)
        }
    }
}

/// One proof at a time, shared by all who wait for one: anyone may ask, and each proof is a write
/// to stable storage.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// When the last successful proof was begun.
    proved: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Proves readiness at a time not before this call. Callers that come while a proof is under
    /// way share the next one. A failure is not shared: whoever waits tries for itself.
    async fn prove(&self, state: &IngressState) -> Result<(), Unconfirmed> {
        let asked = Instant::now();
        let mut proved = self.proved.lock().await;
        if proved.is_some_and(|begun| begun > asked) {
            return Ok(());
        }
        let begun = Instant::now();
        state.0.publisher.ready().await?;
        *proved = Some(begun);
        Ok(())
    }
}
