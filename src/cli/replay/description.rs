//! How far a replay is, in words.

use std::time::Duration;

use console::style;

use super::super::output::{listing, or_dash, shown, state};
use crate::model::replay::ReplayState;
use crate::model::time::Age;
use crate::ops::replays::Status;

pub(super) fn coloured(state: ReplayState) -> String {
    let word = style(state.as_str());
    match state {
        ReplayState::Running => word.yellow(),
        ReplayState::Done => word.green(),
        ReplayState::Cancelled => word.dim(),
    }
    .to_string()
}

/// The status for people.
pub(super) fn describe(status: &Status) -> String {
    let record = &status.record;
    let replay = &record.replay;
    let by = format!(
        "{} by {}: {}",
        replay.created_at,
        shown(&replay.operator),
        shown(&replay.reason)
    );
    let limit = replay.limit.map(|limit| format!(", {limit} at most"));
    let filter = format!(
        "{}{}",
        shown(&replay.filter.to_string()),
        limit.unwrap_or_default()
    );
    let mut facts = vec![
        ("replay", replay.id.to_string()),
        ("state", coloured(replay.state)),
        ("started", by),
        ("filter", filter),
        (
            "rate",
            format!("{}/s; {}/s so far", replay.rate.per_second(), status.speed),
        ),
        ("events", replay.total.to_string()),
        ("processed", replay.done.to_string()),
    ];
    if replay.state == ReplayState::Running {
        facts.push(("waiting", record.pending.to_string()));
        let held = format!("{} (behind another about the same subject)", record.held);
        facts.push(("held", held));
        facts.push(("queued", record.queued.to_string()));
        let left = status.seconds_left.map(Duration::from_secs).map(Age);
        facts.push(("left", or_dash(left)));
    }
    if let (Some(by), Some(reason)) = (&replay.cancelled_by, &replay.cancel_reason) {
        let cancelled = replay.cancelled;
        let by = format!("{cancelled} by {}: {}", shown(by), shown(reason));
        facts.push(("cancelled", by));
    }
    if let Some(finished_at) = replay.finished_at {
        facts.push(("ended", finished_at.to_string()));
    }
    let mut text: Vec<String> = facts
        .into_iter()
        .map(|(name, value)| format!("{name:<12} {value}"))
        .collect();
    if !record.outcomes.is_empty() {
        let rows = record.outcomes.iter().map(|of| {
            vec![
                of.events.to_string(),
                of.outcome.clone(),
                or_dash(of.state.map(state)),
                of.example.to_string(),
                or_dash(of.fingerprint.as_ref()),
            ]
        });
        text.push(String::new());
        text.push(listing(
            &["EVENTS", "OUTCOME", "STATE THEN", "EXAMPLE", "FINGERPRINT"],
            rows.collect(),
        ));
    }
    text.join("\n")
}
