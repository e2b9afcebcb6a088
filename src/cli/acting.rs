//! What every command that changes something is told: whether to, why, and by whom.

use clap::Args;

use crate::config::Config;
use crate::model::operator::{Mode, Operator, Reason};

/// Who acts, and whether for real.
#[derive(Debug, Args)]
pub(super) struct ActingArgs {
    /// Do it; without this, only tell what would be done
    #[arg(long, requires = "reason")]
    execute: bool,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<Reason>,
    /// Who acts; without this, the login name
    #[arg(long, value_name = "NAME", value_parser = parse_operator)]
    operator: Option<Operator>,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl ActingArgs {
    /// Who it is.
    pub(super) fn operator(&self, config: &Config) -> Operator {
        let login = || config.login.as_deref().and_then(Operator::parse);
        self.operator
            .clone()
            .or_else(login)
            .unwrap_or_else(Operator::unknown)
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

fn parse_reason(text: &str) -> Result<Reason, String> {
    Reason::parse(text).ok_or_else(|| "write one line of up to 1000 characters".to_owned())
}

fn parse_operator(name: &str) -> Result<Operator, String> {
    Operator::parse(name).ok_or_else(|| "write one line of up to 100 characters".to_owned())
}
