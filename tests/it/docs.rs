//! The README says what the program does.

use std::collections::BTreeSet;
use std::path::Path;

use hookmirror::config::{Config, SETTINGS};
use hookmirror::handlers;
use hookmirror::model::changes::{Changes, IgnoreReason};
use hookmirror::model::source::Provider;

use crate::fixtures;
use crate::support::database::{self, Database};

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
            }
            if !sub.is_subcommand_required_set() {
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

/// What is not ticked at Stripe never arrives.
#[test]
fn every_event_that_is_acted_on_is_to_be_ticked() {
    let readme = read("README.md");
    let mut acted_on = 0;
    for name in fixtures::names("stripe") {
        let event = fixtures::event(Provider::Stripe, &name, fixtures::bytes("stripe", &name));
        let plan = handlers::plan(&Provider::Stripe.into(), &event);
        if let Changes::Ignore(IgnoreReason::TypeNotHandled | IgnoreReason::ThinEvent) =
            plan.result.unwrap()
        {
            continue;
        }
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md, \"Receive webhooks\", lacks `{name}`"
        );
        acted_on += 1;
    }
    assert_eq!(acted_on, 28);
}

/// Whoever copies the example gets what the text around it says.
#[test]
fn the_example_of_more_sources_can_be_loaded() {
    let readme = read("README.md");
    let (_, after) = readme.split_once("```toml\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("hookmirror.toml");
    std::fs::write(&path, example).unwrap();
    let file = path.to_str().unwrap().to_owned();
    let config = Config::load([("HOOKMIRROR_CONFIG".to_owned(), file)]).unwrap();
    let sources: Vec<_> = config
        .sources
        .iter()
        .map(|settings| {
            let source = &settings.source;
            let clerk = settings.clerk.as_ref();
            let has_key = clerk.is_some_and(|clerk| clerk.secret_key.is_some());
            let secrets = settings.secrets.len();
            (source.name.as_str(), source.livemode, secrets, has_key)
        })
        .collect();
    let expected = [
        ("clerk", None, 0, false),
        ("stripe", Some(true), 0, false),
        ("clerk-eu", None, 1, true),
        ("stripe-test", Some(false), 2, false),
    ];
    assert_eq!(sources, expected);
    assert!(config.warnings.is_empty());
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

/// So that nobody adds twenty without seeing it.
#[test]
fn the_number_of_dependencies_is_the_one_that_is_told() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let others = lock["package"].as_array().unwrap().len() - 1;
    let told = format!("`Cargo.lock` has {others} packages of others");
    assert!(
        read("README.md").contains(&told),
        "README.md, \"Dependencies\", should say: {told}"
    );
}

/// Whoever copies a query gets an answer, whatever the engine.
async fn the_queries_can_be_asked(database: &Database) {
    const README: &str = include_str!("../../README.md");
    let mut asked = 0;
    for block in README.split("```sql\n").skip(1) {
        let (queries, _) = block.split_once("```").unwrap();
        for query in queries.split_terminator(";\n") {
            database.execute(query).await;
            asked += 1;
        }
    }
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn the_queries_can_be_asked_of_sqlite() {
    the_queries_can_be_asked(&database::sqlite().await).await;
}

#[tokio::test]
async fn the_queries_can_be_asked_of_postgres() {
    the_queries_can_be_asked(&database::postgres().await).await;
}
