//! Whether the process runs, and whether it could take an event now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout_at};

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
    match state.0.readiness.prove(&state).await {
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
            refusal.log("readyz", None, &state.0.alike);
            refusal.into_response(false)
        }
    }
}

/// What the queue showed. Those who share a failure share its cause.
type Shown = Result<Path, Arc<Unconfirmed>>;

/// One proof at a time, shared by all who wait for one: anyone may ask, each proof is a write to stable
/// storage, and who waits for one holds a connection that does not give way.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// Held by who makes a proof.
    proving: AsyncMutex<()>,
    last: Mutex<Option<Proof>>,
}

#[derive(Clone, Debug)]
struct Proof {
    /// Answers those who asked before this. A success shows what was true when it was begun; a failure is
    /// good enough for all who have waited for its end.
    holds_for: Instant,
    shown: Shown,
}

impl Readiness {
    /// Proves readiness at a time not before this call, within the time that a confirm may take. Callers
    /// that come while a proof is under way share the next one, or the failure of this one. Who comes
    /// during the next try, not long after a failure, is told of it at once.
    async fn prove(&self, state: &IngressState) -> Shown {
        let asked = Instant::now();
        let limit = state.0.limits.confirm_timeout;
        let in_time = asked + limit;
        let late = || Arc::new(Unconfirmed::TimedOut { limit });

        let _proving = match self.proving.try_lock() {
            Ok(proving) => proving,
            Err(_) => {
                if let Some(proof) = self.last()
                    && asked < proof.holds_for + limit
                    && let Err(failure) = proof.shown
                {
                    return Err(failure);
                }
                let proving = timeout_at(in_time, self.proving.lock()).await;
                proving.map_err(|_| late())?
            }
        };
        if let Some(proof) = self.last()
            && proof.holds_for > asked
        {
            return proof.shown;
        }
        let begun = Instant::now();
        let shown = match timeout_at(in_time, state.0.publisher.ready()).await {
            Ok(shown) => shown.map_err(|error| Arc::new(error.into())),
            Err(_) => Err(late()),
        };
        let holds_for = if shown.is_ok() { begun } else { Instant::now() };
        *self.locked() = Some(Proof {
            holds_for,
            shown: shown.clone(),
        });
        shown
    }

    fn last(&self) -> Option<Proof> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Option<Proof>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
