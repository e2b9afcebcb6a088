//! Whether the process runs, and whether it could take an event now.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::IngressState;
use super::error::{Refusal, Unconfirmed, json};
use crate::queue::Readiness as Path;

#[derive(Serialize)]
struct Status {
    status: &'static str,
    /// Why events do not go where they belong at once, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
}

/// `GET /livez`: depends on nothing, so that an outage elsewhere does not restart this process.
pub(super) async fn alive() -> Response {
    let status = Status {
        status: "alive",
        degraded: None,
    };
    json(StatusCode::OK, &status)
}

/// `GET /readyz`: asks the queue for a proof, the same way that an event takes. An event that would be
/// kept in a spool is kept: that is ready as well, and the answer says so.
pub(super) async fn ready(State(state): State<IngressState>) -> Response {
    let limit = state.0.limits.confirm_timeout;
    let result = match timeout(limit, state.0.readiness.prove(&state)).await {
        Ok(result) => result,
        Err(_) => Err(Unconfirmed::TimedOut { limit }),
    };
    match result {
        Ok(path) => {
            let status = Status {
                status: "ready",
                degraded: match path {
                    Path::Ready => None,
                    Path::Degraded(why) => Some(why),
                },
            };
            json(StatusCode::OK, &status)
        }
        Err(unconfirmed) => {
            let refusal = Refusal::NotReady(unconfirmed);
            refusal.log("readyz", &state.0.unconfirmed);
            refusal.into_response(false)
        }
    }
}

/// One proof at a time, shared by all who wait for one: anyone may ask, and each proof is a write
/// to stable storage.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// When the last successful proof was begun, and what it showed.
    proved: Mutex<Option<(Instant, Path)>>,
}

impl Readiness {
    /// Proves readiness at a time not before this call. Callers that come while a proof is under
    /// way share the next one. A failure is not shared: whoever waits tries for itself.
    async fn prove(&self, state: &IngressState) -> Result<Path, Unconfirmed> {
        let asked = Instant::now();
        let mut proved = self.proved.lock().await;
        if let Some((begun, path)) = &*proved
            && *begun > asked
        {
            return Ok(path.clone());
        }
        let begun = Instant::now();
        let path = state.0.publisher.ready().await?;
        *proved = Some((begun, path.clone()));
        Ok(path)
    }
}
