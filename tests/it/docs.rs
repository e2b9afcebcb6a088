//! The README says what the program does.

use std::collections::BTreeSet;
use std::path::Path;

use hookmirror::config::SETTINGS;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_table_of_settings_is_the_one_in_the_code() {
    let rows: Vec<String> = SETTINGS
        .iter()
        .map(|setting| {
            let alias = setting
                .alias
                .map(|alias| format!(" (also `{alias}`)"))
                .unwrap_or_default();
            let (name, default, meaning) = (setting.name, &setting.default, setting.meaning);
            format!("| `{name}`{alias} | {default} | {meaning} |")
        })
        .collect();
    let readme = read("README.md");
    let written: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| variable |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(
        written,
        rows,
        "README.md, \"Settings\"; it should be:\n{}\n",
        rows.join("\n")
    );
}

#[test]
fn every_command_of_the_readme_exists_and_every_command_is_in_it() {
    fn paths(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
        for sub in command.get_subcommands() {
            let path = format!("{above}{}", sub.get_name());
            if sub.has_subcommands() {
                paths(sub, &format!("{path} "), found);
            } else {
                found.insert(path);
            }
        }
    }
    let mut commands = BTreeSet::new();
    paths(&hookmirror::cli::command(), "", &mut commands);

    let readme = read("README.md");
    for command in &commands {
        assert!(
            readme.contains(&format!("`{command}")),
            "README.md, \"Commands\", lacks `{command}`"
        );
    }
    let shown = readme.split("```").skip(1).step_by(2);
    for line in shown.flat_map(str::lines) {
        let Some(words) = line.trim().strip_prefix("hookmirror ") else {
            continue;
        };
        let known = commands
            .iter()
            .any(|command| words == command || words.starts_with(&format!("{command} ")));
        assert!(
            known,
            "README.md shows `hookmirror {words}`, which does not exist"
        );
    }
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let readme = read("README.md");
    for name in manifest["dependencies"].as_table().unwrap().keys() {
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md, \"Dependencies\", does not say what `{name}` is for"
        );
    }
}
