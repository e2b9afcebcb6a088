//! `migrate` and `migrate --check`.

use super::process::Home;

#[test]
fn what_is_missing_is_told_applied_and_then_not_missing() {
    let home = Home::new();
    let ran = home.run(["migrate", "--check"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("no database"), "{ran:?}");
    assert!(!home.data_dir().exists(), "to look is not to create");

    let applied = home.output(["migrate"]);
    assert_eq!(applied.matches("applied 00").count(), 13, "{applied}");
    assert!(home.output(["migrate", "--check"]).contains("current"));
    assert!(home.output(["migrate"]).contains("nothing to apply"));
}

#[test]
fn an_empty_database_lacks_everything_and_the_other_commands_say_so() {
    let home = Home::new();
    std::fs::create_dir(home.data_dir()).unwrap();
    home.write("data/mirror.db", "");
    let ran = home.run(["migrate", "--check"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.stdout.matches("not applied: 00").count(), 13, "{ran:?}");
    for command in [["events", "list"], ["events", "stats"]] {
        home.run(command)
            .failed_with(1, &["0001_users", "hookmirror migrate"]);
    }
}

#[tokio::test]
async fn the_schema_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    home.output(["migrate"]);
    home.change("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4")
        .await;
    for command in [
        &["migrate"][..],
        &["migrate", "--check"],
        &["run"],
        &["events", "list"],
    ] {
        home.run(command.iter().copied())
            .failed_with(1, &["9999", "newer"]);
    }
}
