//! Clerk's Backend API over HTTP.
//!
//! Guaranteed: a call ends within its timeout; no more of an answer is read than a bound; the key
//! is in no `Debug` output and in no error. NOT done here: retrying, and keeping to Clerk's rate
//! limits. Both are for the caller, who sees all users at once.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ClerkApi, ClerkApiError, NO_CODE};
use crate::http_client::{self, retry_after};
use crate::model::trace::TraceContext;
use crate::model::user::UserId;

/// The version of the API whose answers this client understands.
const API_VERSION: &str = "2025-11-10";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// An error body has a few hundred bytes, a whole user some tens of kilobytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
const MAX_CODE_LENGTH: usize = 64;

/// Why a client cannot be built. Quotes neither the key nor the address.
#[derive(Debug, thiserror::Error)]
pub enum HttpClerkApiError {
    /// The address is not one.
    #[error("the address of Clerk's API is not an absolute http or https URL without credentials")]
    BadUrl,
    /// The key cannot stand in a header.
    #[error("Clerk's secret key is empty or holds a character that no key has: copy it again")]
    BadKey,
    /// TLS could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
}

/// A client for one Clerk instance. Keeps its connections; cheap to clone.
#[derive(Clone)]
pub struct HttpClerkApi {
    client: Client,
    api_url: Url,
}

impl HttpClerkApi {
    /// A client that gives every call ten seconds. `api_url` includes the version segment, as in
    /// `https://api.clerk.com/v1`.
    ///
    /// # Errors
    ///
    /// When the address or the key cannot be used.
    pub fn new(api_url: &str, secret_key: SecretString) -> Result<Self, HttpClerkApiError> {
        Self::with_timeout(api_url, secret_key, DEFAULT_TIMEOUT)
    }

    /// The same, with another time limit for each of: connecting, and the call as a whole.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_timeout(
        api_url: &str,
        secret_key: SecretString,
        timeout: Duration,
    ) -> Result<Self, HttpClerkApiError> {
        let api_url = parse_api_url(api_url).ok_or(HttpClerkApiError::BadUrl)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(&secret_key)?);
        headers.insert("clerk-api-version", HeaderValue::from_static(API_VERSION));
        let client = http_client::builder([&api_url])
            .user_agent(concat!("hookmirror/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(timeout)
            .timeout(timeout)
            .build()
            .map_err(HttpClerkApiError::Setup)?;
        Ok(Self { client, api_url })
    }

    /// The address of one user's metadata; `None` for `.` and `..`, which URLs cannot carry as a
    /// segment and would turn into another address.
    fn metadata_url(&self, user: &UserId) -> Option<Url> {
        let user = user.as_str();
        if matches!(user, "." | "..") {
            return None;
        }
        let mut url = self.api_url.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["users", user, "metadata"]);
        Some(url)
    }
}

impl fmt::Debug for HttpClerkApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClerkApi")
            .field("api_url", &self.api_url.as_str())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ClerkApi for HttpClerkApi {
    async fn merge_public_metadata(
        &self,
        user: &UserId,
        public_metadata: &Value,
        trace: Option<TraceContext>,
    ) -> Result<(), ClerkApiError> {
        let url = self
            .metadata_url(user)
            .ok_or(ClerkApiError::Unaddressable)?;
        let mut request = self
            .client
            .patch(url)
            .json(&json!({ "public_metadata": public_metadata }));
        if let Some(trace) = trace {
            request = request.header("traceparent", trace.to_string());
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| ClerkApiError::NoAnswer(Box::new(error.without_url())))?;

        let status = response.status();
        let retry_after = retry_after(response.headers());
        // Read to its end even if not looked at, so that the connection can be used again. The
        // status is the confirmation: a body that breaks off takes nothing away from it.
        let body = read_bounded(&mut response).await;
        if status.is_success() {
            return Ok(());
        }
        Err(ClerkApiError::Answered {
            status: status.as_u16(),
            code: error_code(&body),
            retry_after,
        })
    }
}

fn parse_api_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    usable.then_some(url)
}

fn bearer(secret_key: &SecretString) -> Result<HeaderValue, HttpClerkApiError> {
    let key = secret_key.expose_secret();
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(HttpClerkApiError::BadKey);
    }
    let mut value =
        HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| HttpClerkApiError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What has come of a body before its end, an error or the bound.
async fn read_bounded(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body
}

/// Clerk's `{"errors":[{"code":…}]}`: the first code, if it looks like one.
fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        code: String,
    }
    serde_json::from_slice::<Answer>(body)
        .ok()
        .and_then(|answer| answer.errors.into_iter().next())
        .map(|entry| entry.code)
        .filter(|code| (1..=MAX_CODE_LENGTH).contains(&code.len()))
        .filter(|code| code.bytes().all(|b| b.is_ascii_graphic()))
        .unwrap_or_else(|| NO_CODE.to_owned())
}
