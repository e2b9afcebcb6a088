//! A stand-in for Clerk's Backend API: the endpoint that merges a user's metadata, on loopback.
//!
//! It keeps to [`clerk_rules`](super::clerk_rules), and checks the bearer key. NOT imitated: rate
//! limits, locks, webhooks about the change, and all other endpoints.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::patch;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::clerk_rules::{Refusal, Registry};
use crate::model::user::UserId;

/// Starts a stand-in that accepts this key, on a free port of the loopback interface.
///
/// # Errors
///
/// When no port can be had.
pub async fn start(secret_key: SecretString) -> io::Result<StandInClerk> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared {
        secret_key,
        registry: Mutex::default(),
    });
    let app = Router::new()
        .route("/v1/users/{id}/metadata", patch(merge_metadata))
        .with_state(Arc::clone(&shared));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(StandInClerk {
        address,
        shared,
        server: server.abort_handle(),
    })
}

/// A running stand-in, and a view into what it holds. Dropping it takes it off the network.
#[derive(Debug)]
pub struct StandInClerk {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

impl StandInClerk {
    /// What to set `CLERK_API_URL` to.
    pub fn api_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Lets a user exist, without metadata. Changes nothing for one that exists.
    pub fn add_user(&self, user: &UserId) {
        self.shared.registry().add_user(user.as_str());
    }

    /// Deletes a user, and the metadata with it.
    pub fn remove_user(&self, user: &UserId) {
        self.shared.registry().remove_user(user.as_str());
    }

    /// The user's `public_metadata`; `None` if there is no such user.
    pub fn metadata_of(&self, user: &UserId) -> Option<Value> {
        self.shared.registry().public_metadata_of(user.as_str())
    }

    /// How many requests have been answered with success, whether they changed anything or not.
    pub fn writes(&self) -> u64 {
        self.shared.registry().writes()
    }
}

impl Drop for StandInClerk {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug)]
struct Shared {
    secret_key: SecretString,
    registry: Mutex<Registry>,
}

impl Shared {
    /// A panic while it was locked leaves nothing half done: entries are replaced whole.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn merge_metadata(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match try_merge(&shared, &id, &headers, &body) {
        Ok(user) => json_response(StatusCode::OK, &user),
        Err(refusal) => json_response(refusal.status(), &refusal.body()),
    }
}

fn try_merge(
    shared: &Shared,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    check_key(shared, headers)?;
    shared.registry().merge(id, body)
}

fn check_key(shared: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    let key = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("Bearer "))
        .ok_or(Refusal::NoKey)?;
    if key == shared.secret_key.expose_secret() {
        Ok(())
    } else {
        Err(Refusal::WrongKey)
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
