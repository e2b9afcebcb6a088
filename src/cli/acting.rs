//! What every command that changes something is told: whether to, why, and by whom.

use clap::Args;

use crate::config::Config;
use crate::model::operator::{Mode, Operator, Reason};
use crate::ops::wanted;

/// Who acts, and whether for real.
#[derive(Debug, Args)]
pub(super) struct ActingArgs {
    /// Do it; without this, only tell what would be done
    #[arg(long, requires = "reason")]
    execute: bool,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT", value_parser = wanted::reason)]
    reason: Option<Reason>,
    /// Who acts; without this, the login name
    #[arg(long, value_name = "NAME", value_parser = wanted::operator)]
    operator: Option<Operator>,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl ActingArgs {
    /// Who it is.
    pub(super) fn operator(&self, config: &Config) -> Operator {
        who(self.operator.clone(), config)
    }

    /// Who was said to act, if that was said.
    pub(super) fn given_operator(&self) -> Option<&Operator> {
        self.operator.as_ref()
    }

    /// Why, for real or not.
    pub(super) fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// Whether for real.
    pub(super) fn mode(&self) -> Mode {
        match &self.reason {
            Some(reason) if self.execute => Mode::Execute(reason.clone()),
            _ => Mode::DryRun,
        }
    }
}

/// Who acts, if they do not say.
pub(super) fn who(named: Option<Operator>, config: &Config) -> Operator {
    let login = || config.login.as_deref().and_then(Operator::parse);
    named.or_else(login).unwrap_or_else(Operator::unknown)
}
