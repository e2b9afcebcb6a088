//! What Clerk's Backend API does to a user's metadata: rules and state, without a network.
//!
//! Kept to Clerk's OpenAPI (Backend API 2025-11-10, `PATCH /users/{id}/metadata`) where the mirror
//! could tell the difference: unknown users, unknown keys, the deep merge in which `null` removes a
//! key, the limit of 8 KiB, the error bodies. Written once, for the demo's stand-in and for the fake of
//! the tests.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

/// What a user's metadata may come to, all kinds together.
const MAX_METADATA_BYTES: usize = 8 * 1024;
const KINDS: [&str; 3] = ["public_metadata", "private_metadata", "unsafe_metadata"];

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

/// The users of one instance.
#[derive(Debug, Default)]
pub struct Registry {
    users: BTreeMap<String, Metadata>,
    writes: u64,
}

impl Registry {
    /// Lets a user exist, without metadata. Changes nothing for one that exists.
    pub fn add_user(&mut self, id: &str) {
        self.users.entry(id.to_owned()).or_default();
    }

    /// Deletes a user, and the metadata with it.
    pub fn remove_user(&mut self, id: &str) {
        self.users.remove(id);
    }

    /// The user's `public_metadata`; `None` if there is no such user.
    pub fn public_metadata_of(&self, id: &str) -> Option<Value> {
        Some(self.users.get(id)?.kind("public_metadata"))
    }

    /// How many merges have succeeded, whether they changed anything or not.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Merges what a request body holds; answers the user.
    ///
    /// # Errors
    ///
    /// In Clerk's terms. Then nothing was changed.
    pub fn merge(&mut self, id: &str, body: &[u8]) -> Result<Value, Refusal> {
        let patch = read_patch(body)?;
        let metadata = self.users.get_mut(id).ok_or(Refusal::ResourceNotFound)?;
        let changed = metadata.merged_with(&patch);
        if changed.bytes() > MAX_METADATA_BYTES {
            return Err(Refusal::TooLarge);
        }
        *metadata = changed.clone();
        self.writes += 1;

        Ok(json!({
            "id": id,
            "object": "user",
            "public_metadata": changed.kind("public_metadata"),
            "private_metadata": changed.kind("private_metadata"),
            "unsafe_metadata": changed.kind("unsafe_metadata"),
        }))
    }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No bearer key.
    NoKey,
    /// Not the key of this instance, or not any longer.
    WrongKey,
    /// The body is not a JSON object.
    BodyInvalid,
    /// The body has a key that is none of the kinds of metadata.
    ParameterUnknown,
    /// A kind of metadata is not an object.
    ParameterFormat,
    /// The metadata would exceed 8 KiB.
    TooLarge,
    /// No such user.
    ResourceNotFound,
    /// Another request is changing the same user.
    ResourceLocked,
    /// Too many requests.
    TooManyRequests,
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
            Self::ResourceLocked => (
                StatusCode::CONFLICT,
                "resource_locked",
                "is currently being modified by another request",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many requests",
            ),
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }

    /// Clerk's code for it.
    pub const fn code(self) -> &'static str {
        self.parts().1
    }

    /// The body of the answer.
    pub fn body(self) -> Value {
        let (_, code, message) = self.parts();
        json!({
            "errors": [{ "message": message, "long_message": message, "code": code }],
            "clerk_trace_id": "stand-in",
        })
    }
}
