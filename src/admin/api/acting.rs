//! What every request that changes something says: whether to, why, and who asks.

use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::model::operator::{Mode, Operator, Reason};

/// Whether for real, why, and who. Without `execute` nothing is changed: the answer tells what would be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Acting {
    /// Do it.
    execute: bool,
    /// Why, for those who ask later: one line of up to 1000 characters. Needed to execute.
    reason: Option<String>,
    /// Who asks, in one line of up to 100 characters. Not authenticated: whoever has the token may say
    /// anything.
    operator: Option<String>,
}

impl Acting {
    /// Who it is, and whether for real.
    pub(super) fn understood(self) -> Result<(Operator, Mode), Problem> {
        let mut problems = Vec::new();
        let operator = match self.operator.as_deref().map(Operator::parse) {
            None => Operator::unknown(),
            Some(Some(operator)) => operator,
            Some(None) => {
                problems.push("operator: write one line of up to 100 characters".to_owned());
                Operator::unknown()
            }
        };
        let reason = self.reason.as_deref().map(Reason::parse);
        let mode = match (self.execute, reason) {
            (_, Some(None)) => {
                problems.push("reason: write one line of up to 1000 characters".to_owned());
                Mode::DryRun
            }
            (true, None) => {
                problems.push("reason: to execute, say why".to_owned());
                Mode::DryRun
            }
            (true, Some(Some(reason))) => Mode::Execute(reason),
            (false, _) => Mode::DryRun,
        };
        match problems.is_empty() {
            true => Ok((operator, mode)),
            false => Err(Problem::Invalid(problems)),
        }
    }
}
