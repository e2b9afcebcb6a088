//! The shape of the source, read from it: what `src/lib.rs` promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod confined;
mod direction;

struct Source {
    /// Below `src/`.
    path: String,
    /// Without comments.
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            sources.push(Source {
                path: path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
                code,
                lines: text.lines().count(),
            });
        }
    }
    assert!(sources.len() > 40, "the source was not found");
    sources
}

/// The words that follow `prefix` wherever it is not part of a longer word.
fn words_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    code.match_indices(prefix)
        .filter(|(at, _)| {
            let before = code[..*at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let group = rest
                .strip_prefix('{')
                .map_or("", |rest| rest.split('}').next().unwrap());
            std::iter::once(&rest[..end]).chain(
                group
                    .split(',')
                    .map(|item| item.trim().split(':').next().unwrap()),
            )
        })
        .filter(|word| !word.is_empty())
        .collect()
}

fn names_library(code: &str, library: &str) -> bool {
    !words_after(code, &format!("{library}::")).is_empty()
        || code.contains(&format!("use {library};"))
        || !words_after(code, &format!("{library}::*")).is_empty()
}

#[test]
fn every_file_reads_in_one_sitting_and_is_named_for_what_it_does() {
    const VAGUE: [&str; 5] = ["util", "common", "helper", "manager", "misc"];
    for source in sources() {
        assert!(
            source.lines <= 450,
            "src/{} has {} lines: what else does it do?",
            source.path,
            source.lines
        );
        let vague = VAGUE.iter().find(|word| source.path.contains(*word));
        assert_eq!(vague, None, "src/{} is named for nothing", source.path);
    }
}
