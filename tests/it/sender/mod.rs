//! What is sent, and how.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use bytes::Bytes;
use hookmirror::model::source::{Provider, Source};
use hookmirror::sender::{Delivery, SendOptions, Template, generate};

mod generate;
mod plan;
mod post;
mod receiver;
mod setup;

const CLERK_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const STRIPE_SECRET: &str = "whsec_stripe_secret_for_tests";

fn template(provider: Provider, body: &str) -> Template {
    Template {
        name: "test".to_owned(),
        source: Source::from(provider),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// Templates of small bodies that differ, alternating between the providers.
fn templates(count: usize) -> Vec<Template> {
    (0..count)
        .map(|i| match i % 2 {
            0 => template(
                Provider::Clerk,
                &format!(r#"{{"type":"user.updated","data":{{"id":"user_{i}"}}}}"#),
            ),
            _ => template(
                Provider::Stripe,
                &format!(r#"{{"id":"evt_{i}","type":"charge.refunded"}}"#),
            ),
        })
        .collect()
}

/// Retries as soon as it can; a test that hangs fails by the timeout of an attempt.
fn eager() -> SendOptions {
    SendOptions {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
        timeout: Duration::from_secs(20),
        ..SendOptions::default()
    }
}

fn deliveries(count: usize) -> Vec<Delivery> {
    generate(&templates(4), Some(count), 1)
}
