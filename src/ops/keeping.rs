//! Findings about what is kept for longer than the settings say.

use std::time::Duration;

use super::checkup::Finding;
use crate::error_chain::ErrorChain;
use crate::model::retention::{Overdue, RetentionPolicy};
use crate::model::time::{Age, Timestamp};
use crate::store::Store;

/// Sweeps are an hour apart, and a large one takes a while.
const SLACK: Duration = Duration::from_secs(3 * 3600);

/// Looks for payloads that should be gone.
pub async fn overdue(store: &dyn Store, policy: RetentionPolicy, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "retention";
    let long_ago = |kept_for: Duration| now.minus(kept_for);
    // Without a limit nothing is older than it.
    let before = policy.payloads.map_or(Timestamp::from_millis(0), long_ago);
    let Overdue {
        oldest_payload,
        unfinished,
        oldest_deletion,
    } = match store.overdue(before).await {
        Ok(overdue) => overdue,
        Err(error) => return vec![Finding::problem(CHECK, ErrorChain(&error).to_string())],
    };
    let late = |since: Option<Timestamp>, kept_for: Option<Duration>| {
        let age = now.since(since?);
        (age > kept_for? + SLACK).then_some(Age(age))
    };
    let mut findings = Vec::new();
    if let Some(age) = late(oldest_payload, policy.payloads) {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "the oldest payload of a finished event is {age} old, older than \
                 HOOKMIRROR_KEEP_PAYLOADS_DAYS says: is `hookmirror run` or `work` up, and with the same \
                 setting?"
            ),
        ));
    }
    if let Some(age) = late(oldest_deletion, policy.deleted) {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "payloads about a user whose deletion was recorded {age} ago are not erased, though \
                 HOOKMIRROR_ERASE_AFTER_DAYS says so: is `hookmirror run` or `work` up, and with the \
                 same setting?"
            ),
        ));
    }
    if unfinished > 0 {
        let events = match unfinished {
            1 => "1 event is not finished and keeps its payload".to_owned(),
            n => format!("{n} events are not finished and keep their payloads"),
        };
        findings.push(Finding::warning(
            CHECK,
            format!(
                "{events} for longer than HOOKMIRROR_KEEP_PAYLOADS_DAYS says: see `hookmirror events list \
                 --state failed --state waiting --until {before}`"
            ),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            "nothing is kept for longer than it should be",
        ));
    }
    findings
}
