//! The command that does what a plan has told.

use super::super::acting::ActingArgs;
use super::super::filter::{quoted, words};
use crate::model::replay::{ReplayRate, ReplayScope};

/// What to type, ready for a shell.
pub(super) fn start_command(scope: &ReplayScope, rate: ReplayRate, acting: &ActingArgs) -> String {
    let mut command = "hookmirror replay".to_owned();
    if scope.filter == Default::default() {
        command.push_str(" --all");
    }
    command.push_str(&words(&scope.filter));
    if let Some(limit) = scope.limit {
        command.push_str(&format!(" --limit {limit}"));
    }
    if rate != ReplayRate::DEFAULT {
        command.push_str(&format!(" --rate {}", rate.per_second()));
    }
    if let Some(operator) = acting.given_operator() {
        command.push_str(&format!(" --operator {}", quoted(operator.as_str())));
    }
    let reason = acting.reason().map_or("TEXT", |reason| reason.as_str());
    command.push_str(&format!(" --execute --reason {}", quoted(reason)));
    command
}
