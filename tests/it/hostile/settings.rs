//! The settings file: it is right, or every problem tells where it is, and no message quotes a secret.
//!
//! An input is the file.

use std::fs;

use hookmirror::config::{Config, Origin, Problem};
use tempfile::TempDir;

use super::Inputs;
use crate::support::directory::directory;

/// In each secret of the corpus, and in nothing else.
const MARKER: &str = "MARKER";
/// What stands before it as long as it can be told that it is one.
const BEFORE: [&str; 3] = ["whsec_", "sk_test_", "://u:"];
const WORDS: &[&str] = &[
    "[[source]]\n",
    "[source]\n",
    "name = ",
    "provider = \"clerk\"\n",
    "secrets = [\"whsec_TUFSS0VSTUFSS0VS\"]\n",
    "livemode = true\n",
    "DATABASE_URL = ",
    "AMQP_URL = \"amqp://u:MARKER@h/v\"\n",
    "HOOKMIRROR_MAX_BODY_BYTES = ",
    "HOOKMIRROR_LISTEN = ",
    "\"",
    "'''",
    "\"\"\"",
    "=",
    "\n",
    "\r\n",
    "[",
    "]",
    "{",
    "}",
    "\\u0000",
    "0x",
    "inf",
    "1979-05-27T07:32:00Z",
    ".",
    "#",
    "true",
];

struct File(TempDir);

impl File {
    fn path(&self) -> String {
        self.0
            .path()
            .join("hookmirror.toml")
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// The problems, if any, and whether there is a configuration.
    fn load(&self, bytes: &[u8]) -> (Vec<Problem>, bool, String) {
        fs::write(self.path(), bytes).unwrap();
        let named = ("HOOKMIRROR_CONFIG".to_owned(), self.path());
        match Config::load([named]) {
            Ok(config) => (config.warnings.clone(), true, format!("{config:?}")),
            Err(problems) => {
                let all = problems.problems().iter().chain(problems.warnings());
                (all.cloned().collect(), false, problems.to_string())
            }
        }
    }
}

/// Whether every secret in there still looks like one: a mutation may have taken that away.
fn is_recognisable(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.match_indices(MARKER).all(|(at, _)| {
        let before = &text[..at];
        BEFORE.iter().any(|form| before.ends_with(form))
    })
}

#[test]
fn every_problem_of_a_settings_file_tells_where_it_is() {
    let file = File(directory());
    let mut loaded = 0;
    let mut refused = 0;
    Inputs::new("settings", WORDS, []).each(|bytes| {
        let (problems, is_right, shown) = file.load(bytes);
        if is_right {
            loaded += 1;
        } else {
            refused += 1;
            assert!(!problems.is_empty());
        }
        let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
        for problem in &problems {
            assert!(
                !problem.setting.is_empty() && !problem.what.is_empty(),
                "{problem:?}"
            );
            if let Some(Origin::File { line, .. }) = problem.origin {
                assert!((1..=lines).contains(&line), "{problem} of {lines} lines");
            }
        }
        if is_recognisable(bytes) {
            assert!(!shown.contains(MARKER), "{shown}");
        }
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\n'),
            "{shown:?}"
        );
    });
    assert!(
        loaded > 10 && refused > 10,
        "{loaded} loaded, {refused} refused"
    );
}
