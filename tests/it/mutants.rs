//! The bugs that are planted on purpose (`tests/mutants`): each must still fit the code, or it says nothing.

use std::fs;
use std::path::{Path, PathBuf};

fn patches() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "patch")
        })
        .collect()
}

#[test]
fn every_planted_bug_fits_the_code() {
    let patches = patches();
    assert!(patches.len() > 20, "{}", patches.len());
    for patch in patches {
        let text = fs::read_to_string(&patch).unwrap();
        let name = patch.file_name().unwrap().display().to_string();
        let mut source = String::new();
        let mut hunks = 0;
        for part in text.split("\n@@ ").enumerate() {
            let (place, part) = part;
            if place > 0 {
                let (hunk, next_file) = part.split_once("\ndiff --git").unwrap_or((part, ""));
                let before: Vec<&str> = hunk
                    .lines()
                    .skip(1)
                    .filter(|line| !line.starts_with('+'))
                    .map(|line| line.get(1..).unwrap_or_default())
                    .collect();
                let before = before.join("\n");
                assert!(source.contains(before.trim_end()), "{name}:\n{before}");
                hunks += 1;
                if let Some(file) = file_of(next_file) {
                    source = file;
                }
            } else {
                source = file_of(part).expect("a patch names its file");
            }
        }
        assert!(hunks > 0, "{name} changes nothing");
    }
}

/// The source that the last header in a text names.
fn file_of(header: &str) -> Option<String> {
    let line = header.lines().rfind(|line| line.starts_with("+++ b/"))?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(line.strip_prefix("+++ b/")?);
    Some(fs::read_to_string(path).unwrap())
}

#[test]
fn every_planted_bug_says_what_is_wrong_and_who_sees_it() {
    for patch in patches() {
        let text = fs::read_to_string(&patch).unwrap();
        let mut lines = text.lines();
        let (what, by) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(what.ends_with('.'), "{}: {what}", patch.display());
        let by = by.strip_prefix("Caught by: ").unwrap_or_default();
        assert!(!by.is_empty(), "{}", patch.display());
    }
}
