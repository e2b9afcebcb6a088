//! What a person did by hand, and who it was.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::time::Timestamp;

/// Text that a person gave: one line, neither blank nor endless.
fn one_line(text: &str, most: usize) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= most;
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// Who acts: whatever name the people of an installation know each other by. Not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String)]
pub struct Operator(String);

impl Operator {
    /// Takes one line of up to 100 characters; `None` otherwise.
    pub fn parse(name: &str) -> Option<Self> {
        one_line(name, 100).map(Self)
    }

    /// Nobody has said who it is.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why someone acts, for those who ask later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Takes one line of up to 1000 characters; `None` otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        one_line(text, 1000).map(Self)
    }

    /// The reason as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether something is to be changed. Without a reason nothing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only tells what would be done.
    DryRun,
    /// Does it.
    Execute(Reason),
}

impl Mode {
    /// Whether nothing is to be changed.
    pub const fn is_dry_run(&self) -> bool {
        matches!(self, Self::DryRun)
    }

    /// Why it is done, if it is.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::DryRun => None,
            Self::Execute(reason) => Some(reason),
        }
    }
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorAction {
    /// Who.
    pub operator: Operator,
    /// What, as the command is called: `outbox retry`.
    pub action: &'static str,
    /// To what: the filter, as JSON.
    pub target: Value,
    /// Whether for real, and why.
    pub mode: Mode,
}

/// What an operator asked for, and what came of it. Dry runs are recorded too: who looked may be as
/// good to know as who changed something.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ActionRecord {
    /// Counts up from the first.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub operator: Operator,
    /// What.
    pub action: String,
    /// Why; always there unless it was a dry run.
    pub reason: Option<String>,
    /// To what: the filter, as JSON.
    pub target: Value,
    /// How many things the filter met.
    pub matched: u64,
    /// How many of them were changed.
    pub changed: u64,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

/// Which of these records are meant. Everything that is set must hold; an empty filter is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionFilter {
    /// Recorded before this one, by its id.
    pub before: Option<i64>,
    /// Of this person.
    pub operator: Option<Operator>,
    /// Of this kind: as the command is called.
    pub action: Option<String>,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Operator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
