//! Findings about a running or stopped installation: all of them, not only the first.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::account::Account;
use crate::error_chain::ErrorChain;
use crate::model::changes::Outcome;
use crate::model::ledger::{AtBroker, IgnoredCount, Waiting, WaitingCount};
use crate::model::outbox::{DeliveryState, OutboxEntry, RetryReason};
use crate::model::pause::SourceStanding;
use crate::model::state::EventState;
use crate::model::time::{Age, Timestamp};
use crate::store::Store;

/// Seconds after which somebody should have taken what waits.
const LONG: u64 = 60;

/// How long a payment may wait for its user before somebody should look. Stripe sends the events that
/// belong together within seconds, and what failed once again within the hour: what has not been linked
/// by then has nothing that would link it.
const LINK_ARRIVES: Duration = Duration::from_secs(3600);

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but someone may want to know.
    Warning,
    /// Does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub level: Level,
    /// What was found, and what to do about it.
    pub message: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            message: message.into(),
        }
    }

    /// Works, but someone may want to know.
    pub fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Warning,
            message: message.into(),
        }
    }

    /// Does not work.
    pub fn problem(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Problem,
            message: message.into(),
        }
    }
}

/// Looks at the database: whether it answers, and whether its schema is this program's.
pub async fn database(store: &dyn Store) -> Finding {
    const CHECK: &str = "database";
    match store.pending_migrations().await {
        Err(error) => return Finding::problem(CHECK, ErrorChain(&error).to_string()),
        Ok(pending) if !pending.is_empty() => {
            return Finding::warning(
                CHECK,
                format!(
                    "migrations are not applied: {}; `hookmirror migrate` or `hookmirror run` \
                     applies them",
                    pending.join(", ")
                ),
            );
        }
        Ok(_) => {}
    }
    match store.ping().await {
        Ok(()) => Finding::ok(CHECK, "answers and can be written; schema is current"),
        Err(error) => Finding::problem(CHECK, ErrorChain(&error).to_string()),
    }
}

/// Looks at what waits for the worker, and in the spool for the broker.
pub fn queue(waiting: &Waiting, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "queue";
    let mut findings = Vec::new();
    match &waiting.at_broker {
        None => findings.push(match held(waiting, now) {
            None => Finding::ok(CHECK, "nothing waits"),
            Some((message, age)) if age > LONG => {
                Finding::warning(CHECK, format!("{message}: is `hookmirror run` up?"))
            }
            Some((message, _)) => Finding::ok(CHECK, message),
        }),
        Some(AtBroker::Unknown(why)) => {
            let message = format!("RabbitMQ cannot be used: {why}");
            findings.push(Finding::problem(CHECK, message));
        }
        Some(AtBroker::Ready { work, dead }) => {
            let message = format!(
                "RabbitMQ answers and has what it must have; {work} messages wait to be worked, \
                 {dead} were given up on and wait to be recorded"
            );
            findings.push(Finding::ok(CHECK, message));
        }
    }
    if waiting.at_broker.is_some() {
        const SPOOL: &str = "spool";
        findings.push(match held(waiting, now) {
            None => Finding::ok(SPOOL, "nothing waits for RabbitMQ here"),
            Some((message, _)) => Finding::warning(
                SPOOL,
                format!(
                    "{message}: moved to RabbitMQ while that answers and `hookmirror serve` or `run` \
                     is up"
                ),
            ),
        });
    }
    findings
}

/// What waits in the data directory, and for how many seconds the oldest does.
fn held(waiting: &Waiting, now: Timestamp) -> Option<(String, u64)> {
    let age = now.since(waiting.oldest?).as_secs();
    let deliveries = match waiting.messages {
        1 => "1 delivery".to_owned(),
        n => format!("{n} deliveries"),
    };
    let message = format!("holds {deliveries}, the oldest for {age} s");
    Some((message, age))
}

/// Looks at the events that someone may have to do something about.
pub fn events(account: &Account, now: Timestamp) -> Vec<Finding> {
    let in_state = |state| -> u64 {
        account
            .states
            .iter()
            .filter(|count| count.state == state)
            .map(|count| count.events)
            .sum()
    };
    let mut findings = Vec::new();
    let failed = in_state(EventState::Failed);
    findings.push(if failed == 0 {
        Finding::ok(
            "events",
            format!("{} accepted, none failed", account.accepted),
        )
    } else {
        Finding::warning(
            "events",
            format!(
                "{failed} of {} events failed; see `hookmirror failures --all`",
                account.accepted
            ),
        )
    });
    findings.extend(payments(&account.waiting, now));
    findings.extend(account.ignored.iter().filter_map(strayed));
    findings
}

/// Payments that nobody has got yet.
fn payments(waiting: &WaitingCount, now: Timestamp) -> Option<Finding> {
    const CHECK: &str = "payments";
    let age = now.since(waiting.oldest_received_at?);
    let payments = match waiting.payments {
        1 => "1 payment waits for its user".to_owned(),
        n => format!("{n} payments wait for their users"),
    };
    let found = format!("{payments} to be known, the oldest for {}", Age(age));
    Some(if age < LINK_ARRIVES {
        Finding::ok(CHECK, format!("{found}: an event may tell yet"))
    } else {
        Finding::warning(
            CHECK,
            format!(
                "{found}: see `hookmirror payments waiting`, find out who paid, and `hookmirror \
                 payments attribute PAYMENT USER`; let your application set `client_reference_id`"
            ),
        )
    })
}

/// Looks at what people have paused: a pause that was forgotten keeps the mirror behind.
pub async fn pauses(store: &dyn Store, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "pauses";
    let standings = match store.source_standings().await {
        Ok(standings) => standings,
        Err(error) => return vec![Finding::problem(CHECK, ErrorChain(&error).to_string())],
    };
    let paused = standings.iter().filter_map(|standing| {
        let SourceStanding { source, parked, .. } = standing;
        let pause = standing.pause.as_ref()?;
        let events = match parked {
            0 => "no event waits".to_owned(),
            1 => "1 event waits".to_owned(),
            n => format!("{n} events wait"),
        };
        Some(Finding::warning(
            CHECK,
            format!(
                "{source} has been paused for {} by {} ({}), {events}: `hookmirror sources resume \
                 {source}` when that is over",
                Age(now.since(pause.since)),
                pause.operator.as_str().escape_debug(),
                pause.reason.escape_debug()
            ),
        ))
    });
    paused.collect()
}

/// Events of the wrong kind, which somebody has pointed at the wrong door.
fn strayed(count: &IgnoredCount) -> Option<Finding> {
    let (kind, home) = match count.outcome.as_str() {
        Outcome::TEST_EVENT => ("test", "live"),
        Outcome::LIVE_EVENT => ("live", "test"),
        _ => return None,
    };
    let IgnoredCount { source, events, .. } = count;
    let events = match events {
        1 => format!("1 {kind} event"),
        n => format!("{n} {kind} events"),
    };
    Some(Finding::warning(
        "livemode",
        format!(
            "{events} reached the {home} source `{source}` and had no effect: see which endpoint at \
             Stripe posts there (one for connected accounts gets both kinds), and `hookmirror events \
             list --source {source} --state ignored`"
        ),
    ))
}

/// When the key was last refused, if the latest of the attempts at these entries tells that it was.
async fn key_refused(store: &dyn Store, pending: &[&OutboxEntry]) -> Option<Timestamp> {
    let tried = pending.iter().filter(|entry| entry.last_error.is_some());
    let latest = tried.max_by_key(|entry| entry.updated_at)?;
    let record = store.find_outbox(&latest.user_id, 1).await.ok()??;
    let attempt = record.attempts.first()?;
    (attempt.outcome == RetryReason::KeyRefused.as_str()).then_some(attempt.at)
}

/// Looks at the metadata that has not reached Clerk.
pub async fn outbox(store: &dyn Store, has_key: bool, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "outbox";
    const LOOK_AT: u32 = 1000;
    let entries = match store.undelivered(LOOK_AT).await {
        Ok(entries) => entries,
        Err(error) => return vec![Finding::problem(CHECK, ErrorChain(&error).to_string())],
    };
    let there_may_be_more = entries.len() >= LOOK_AT as usize;
    let users = |number: usize| match number {
        1 => "1 user".to_owned(),
        _ if there_may_be_more => format!("{number} or more users"),
        _ => format!("{number} users"),
    };
    let (parked, pending): (Vec<_>, Vec<_>) = entries
        .iter()
        .partition(|entry| entry.state == DeliveryState::Parked);
    let mut findings = Vec::new();
    if let Some(example) = parked.first() {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "Clerk refuses the metadata of {}; see `hookmirror outbox show {}` and `hookmirror \
                 outbox list --state parked`",
                users(parked.len()),
                example.user_id
            ),
        ));
    }
    let waits = pending.len();
    let longest = pending
        .iter()
        .map(|entry| now.since(entry.desired_at).as_secs())
        .max();
    if let Some(since) = key_refused(store, &pending).await {
        let message = format!(
            "Clerk does not accept CLERK_SECRET_KEY, or `secret_key` of a `[[source]]`, at {since} at the \
             latest; metadata of {} waits, for up to {} s: set the right key and restart",
            users(waits),
            longest.unwrap_or_default()
        );
        findings.push(Finding::problem(CHECK, message));
        return findings;
    }
    let failing: Vec<_> = pending
        .iter()
        .filter_map(|entry| Some((&entry.user_id, entry.last_error.as_ref()?)))
        .collect();
    match (longest, failing.first()) {
        (None, _) if !parked.is_empty() => {}
        (None, _) if has_key => {
            findings.push(Finding::ok(
                CHECK,
                "Clerk holds all metadata that it should",
            ));
        }
        (None, _) => findings.push(Finding::ok(CHECK, "nothing waits to be sent to Clerk")),
        (Some(age), _) if !has_key => findings.push(Finding::warning(
            CHECK,
            format!(
                "metadata of {} waits, for up to {age} s: set CLERK_SECRET_KEY and it will be sent",
                users(waits)
            ),
        )),
        (Some(age), Some((user, error))) => findings.push(Finding::warning(
            CHECK,
            format!(
                "metadata of {} has not reached Clerk and is tried again, the oldest for {age} s: {error}; \
                 see `hookmirror outbox show {user}`",
                users(failing.len())
            ),
        )),
        (Some(age), None) if age > LONG => findings.push(Finding::warning(
            CHECK,
            format!(
                "metadata of {} has not been sent for up to {age} s: is `hookmirror run` or `dispatch` \
                 up, and is there a key for each Clerk instance?",
                users(waits)
            ),
        )),
        (Some(age), None) => findings.push(Finding::ok(
            CHECK,
            format!(
                "metadata of {} is on its way to Clerk, for up to {age} s",
                users(waits)
            ),
        )),
    }
    findings
}
