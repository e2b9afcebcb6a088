//! Settings, from the text that people write.

use std::path::PathBuf;

use hookmirror::config::{Config, ConfigProblems, Origin, Problem};
use tempfile::TempDir;

mod clerk;
mod data_dir;
mod layers;
mod problems;
mod retention;
mod secrets;
mod service_urls;
mod source_problems;
mod sources;
mod table;

const CLERK_SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";

fn load(environment: &[(&str, &str)]) -> Result<Config, ConfigProblems> {
    Config::load(
        environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn loaded(environment: &[(&str, &str)]) -> Config {
    load(environment).expect("these settings are right")
}

fn problems(environment: &[(&str, &str)]) -> Vec<Problem> {
    let problems = load(environment).expect_err("these settings are wrong");
    assert!(!problems.problems().is_empty());
    problems.problems().to_vec()
}

/// Code and setting of each problem.
fn codes(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems
        .iter()
        .map(|problem| (problem.code, problem.setting.as_str()))
        .collect()
}

/// A settings file of its own.
struct SettingsFile {
    path: PathBuf,
    _directory: TempDir,
}

impl SettingsFile {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("hookmirror.toml");
        std::fs::write(&path, content).expect("a file");
        Self {
            path,
            _directory: directory,
        }
    }

    fn named(&self) -> (&str, &str) {
        let path = self.path.to_str().expect("a path that is text");
        ("HOOKMIRROR_CONFIG", path)
    }

    fn line(&self, line: usize) -> Option<Origin> {
        Some(Origin::File {
            path: self.path.clone(),
            line,
        })
    }
}
