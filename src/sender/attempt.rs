//! One attempt: a signed request, and what its answer means.

use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;

use super::Delivery;
use super::report::{Ending, ErrorAnswer};
use crate::http_client::retry_after;
use crate::model::time::Timestamp;
use crate::provider::{self, SecretProblem};

const MAX_ANSWER_BYTES: usize = 64 * 1024;
const MAX_SHOWN_CHARS: usize = 300;

/// Where events of one source go.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) secret: SecretString,
}

/// What became of one attempt.
pub(super) enum Attempt {
    /// There is no other.
    Ended(Ending),
    /// It was answered, but another may fare better.
    Unavailable {
        because: String,
        retry_after: Option<Duration>,
    },
    /// It was not answered.
    NoAnswer(reqwest::Error),
}

/// Signs the delivery as of `now` and posts it.
pub(super) async fn attempt(
    client: &Client,
    target: &Target,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Attempt, SecretProblem> {
    let mut headers = provider::sign(
        delivery.source.provider,
        &target.secret,
        &delivery.id,
        now,
        &delivery.body,
    )?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let request = client
        .post(target.url.clone())
        .headers(headers)
        .body(delivery.body.clone());
    let started = Instant::now();
    let answer = match request.send().await {
        Ok(response) => read(response, started).await,
        Err(error) => Err(error),
    };
    Ok(answer.unwrap_or_else(|error| Attempt::NoAnswer(error.without_url())))
}

/// Reads an answer to its end, and says what it means: a 2xx is accepted, a 5xx passes, and
/// everything else would be the same the next time.
async fn read(mut response: Response, started: Instant) -> Result<Attempt, reqwest::Error> {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() < MAX_ANSWER_BYTES {
            body.extend_from_slice(&chunk);
        }
    }
    if status.is_success() {
        let latency = started.elapsed();
        return Ok(Attempt::Ended(Ending::Accepted { latency }));
    }
    let answer = error_answer(&body);
    if status.is_server_error() {
        return Ok(Attempt::Unavailable {
            because: describe(status, answer.as_ref()),
            retry_after,
        });
    }
    Ok(Attempt::Ended(Ending::Refused {
        status: status.as_u16(),
        answer,
    }))
}

fn error_answer(body: &[u8]) -> Option<ErrorAnswer> {
    #[derive(Deserialize)]
    struct Answer {
        error: Parts,
    }
    #[derive(Deserialize)]
    struct Parts {
        code: String,
        message: String,
    }
    let Answer { error } = serde_json::from_slice(body).ok()?;
    Some(ErrorAnswer {
        code: presentable(&error.code),
        message: presentable(&error.message),
    })
}

/// What may go to a terminal: it comes from the network.
fn presentable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_SHOWN_CHARS)
        .collect()
}

fn describe(status: StatusCode, answer: Option<&ErrorAnswer>) -> String {
    match answer {
        Some(ErrorAnswer { code, message }) => format!("answered {status}: {code}: {message}"),
        None => format!("answered {status}"),
    }
}
