//! What is wrong with the settings, in a form that a person can act on and a script can match.

use std::fmt;
use std::path::{Path, PathBuf};

/// Longer values are cut when they are quoted.
const QUOTED_CHARS: usize = 80;

/// How secrets of the providers begin.
const SECRET_PREFIXES: [&str; 3] = ["whsec_", "sk_", "rk_"];

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a variable of the environment.
    Environment,
    /// In the settings file.
    File {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Environment => f.write_str("from the environment"),
            Self::File { path, line } => {
                let path = path.to_string_lossy();
                write!(f, "from {}, line {line}", path.escape_debug())
            }
        }
    }
}

/// One thing that is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The same for every problem of this kind, in this and in later versions.
    pub code: &'static str,
    /// Which setting, by the name that was written.
    pub setting: String,
    /// Where it was written; `None` where the fault is not in what was written.
    pub origin: Option<Origin>,
    /// What is wrong, to be read after the setting's name.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name of an unknown setting is anybody's text.
        write!(f, "{}", self.setting.escape_debug())?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, " {}; {} [{}]", self.what, self.remedy, self.code)
    }
}

/// What is wrong with a value, before it is known whose value it is.
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) what: String,
    pub(super) remedy: String,
}

impl Fault {
    pub(super) fn new(
        code: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn of(self, setting: impl Into<String>, origin: Option<Origin>) -> Problem {
        Problem {
            code: self.code,
            setting: presentable(setting.into()),
            origin,
            what: self.what,
            remedy: self.remedy,
        }
    }
}

/// A name as it is told. A secret can stand where a name belongs, if somebody wrote a line the wrong
/// way round.
fn presentable(name: String) -> String {
    if may_hold_secret(&name) {
        return "a name that may hold a secret".to_owned();
    }
    match name.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

/// Whether text has the form of a secret, or of an address with a password in it.
fn may_hold_secret(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let has_password = text.contains("://") && text.contains('@');
    has_password || words.any(|word| SECRET_PREFIXES.iter().any(|p| word.starts_with(p)))
}

/// Quotes a value in a message. Only for settings that hold no secret; and even there a secret that
/// was pasted into the wrong place stays unquoted, if it can be recognised.
pub(super) fn quoted(value: &str) -> String {
    if may_hold_secret(value) {
        return "a value that may hold a secret".to_owned();
    }
    match value.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// All that is wrong with the settings; at least one problem.
#[derive(Clone, Debug)]
pub struct ConfigProblems {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    data_dir: PathBuf,
}

impl ConfigProblems {
    pub(super) fn new(problems: Vec<Problem>, warnings: Vec<Problem>, data_dir: PathBuf) -> Self {
        Self {
            problems,
            warnings,
            data_dir,
        }
    }

    /// What has to be mended.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What has no effect, and may be what the problems come from.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("there is a problem with the settings:")?,
            n => write!(f, "there are {n} problems with the settings:")?,
        }
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "\n  {}. {problem}", index + 1)?;
        }
        if !self.warnings.is_empty() {
            f.write_str("\nand these have no effect:")?;
        }
        for warning in &self.warnings {
            write!(f, "\n  - {warning}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}
