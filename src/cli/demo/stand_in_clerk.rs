//! A stand-in for Clerk's Backend API: the endpoint that merges a user's metadata, on loopback, in
//! memory.
//!
//! It keeps to Clerk's OpenAPI (Backend API 2025-11-10, `PATCH /users/{id}/metadata`) where the
//! mirror could tell the difference: the bearer key, unknown users, unknown keys, the deep merge in
//! which `null` removes a key, the limit of 8 KiB, the error bodies. NOT imitated: rate limits,
//! locks, webhooks about the change, and all other endpoints.

use std::collections::BTreeMap;
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
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::model::user::UserId;

/// What a user's metadata may come to, all kinds together.
const MAX_METADATA_BYTES: usize = 8 * 1024;
const KINDS: [&str; 3] = ["public_metadata", "private_metadata", "unsafe_metadata"];

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
        self.shared
            .registry()
            .users
            .entry(user.as_str().to_owned())
            .or_default();
    }

    /// Deletes a user, and the metadata with it.
    pub fn remove_user(&self, user: &UserId) {
        self.shared.registry().users.remove(user.as_str());
    }

    /// The user's `public_metadata`; `None` if there is no such user.
    pub fn metadata_of(&self, user: &UserId) -> Option<Value> {
        let registry = self.shared.registry();
        let metadata = registry.users.get(user.as_str())?;
        Some(metadata.kind("public_metadata"))
    }

    /// How many requests have been answered with success, whether they changed anything or not.
    pub fn writes(&self) -> u64 {
        self.shared.registry().writes
    }
}

impl Drop for StandInClerk {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Merges a patch into a JSON value as Clerk merges metadata: objects are merged key by key, `null`
/// removes the key at whatever level, everything else (arrays too) replaces what was there. Merging
/// the same patch again changes nothing.
pub fn merged(current: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut result = match current {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (key, change) in patch {
        let before = result.remove(key).unwrap_or(Value::Null);
        if !change.is_null() {
            result.insert(key.clone(), merged(before, change));
        }
    }
    Value::Object(result)
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

#[derive(Debug, Default)]
struct Registry {
    users: BTreeMap<String, Metadata>,
    writes: u64,
}

/// A user's metadata by kind. A kind that was never written is absent.
#[derive(Clone, Debug, Default)]
struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    fn kind(&self, kind: &str) -> Value {
        self.0.get(kind).cloned().unwrap_or_else(|| json!({}))
    }

    fn merged_with(&self, patch: &Map<String, Value>) -> Self {
        let mut result = self.clone();
        for (kind, change) in patch {
            result
                .0
                .insert(kind.clone(), merged(self.kind(kind), change));
        }
        result
    }

    fn bytes(&self) -> usize {
        self.0.values().map(|value| value.to_string().len()).sum()
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
        Err(refusal) => refusal.into_response(),
    }
}

fn try_merge(
    shared: &Shared,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    check_key(shared, headers)?;
    let patch = read_patch(body)?;

    let mut registry = shared.registry();
    let metadata = registry
        .users
        .get_mut(id)
        .ok_or(Refusal::ResourceNotFound)?;
    let changed = metadata.merged_with(&patch);
    if changed.bytes() > MAX_METADATA_BYTES {
        return Err(Refusal::TooLarge);
    }
    *metadata = changed.clone();
    registry.writes += 1;

    Ok(json!({
        "id": id,
        "object": "user",
        "public_metadata": changed.kind("public_metadata"),
        "private_metadata": changed.kind("private_metadata"),
        "unsafe_metadata": changed.kind("unsafe_metadata"),
    }))
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

fn read_patch(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let patch: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Refusal::BodyInvalid)?;
    for (kind, change) in &patch {
        if !KINDS.contains(&kind.as_str()) {
            return Err(Refusal::ParameterUnknown);
        }
        if !change.is_object() {
            return Err(Refusal::ParameterFormat);
        }
    }
    Ok(patch)
}

/// Why a request is refused, in Clerk's terms.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    NoKey,
    WrongKey,
    BodyInvalid,
    ParameterUnknown,
    ParameterFormat,
    TooLarge,
    ResourceNotFound,
}

impl Refusal {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoKey => (
                StatusCode::UNAUTHORIZED,
                "authentication_invalid",
                "Invalid authentication",
            ),
            Self::WrongKey => (
                StatusCode::UNAUTHORIZED,
                "clerk_key_invalid",
                "The provided Clerk Secret Key is invalid",
            ),
            Self::BodyInvalid => (
                StatusCode::BAD_REQUEST,
                "request_body_invalid",
                "Request body invalid",
            ),
            Self::ParameterUnknown => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "form_param_unknown",
                "is unknown",
            ),
            Self::ParameterFormat => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "form_param_format_invalid",
                "must be an object",
            ),
            Self::TooLarge => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "form_param_exceeds_allowed_size",
                "exceeds the allowed size",
            ),
            Self::ResourceNotFound => (StatusCode::NOT_FOUND, "resource_not_found", "not found"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        let body = json!({
            "errors": [{ "message": message, "long_message": message, "code": code }],
            "clerk_trace_id": "stand-in",
        });
        json_response(status, &body)
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
