//! What keeps `run` from starting, and what it says then.

use std::net::TcpStream;

use super::process::{Home, wait_until};
use crate::support::postgres::TestDatabase;

#[test]
fn one_process_works_a_data_directory() {
    let home = Home::new();
    let service = home.serve();
    let data = home.data_dir().display().to_string();
    home.run(["run"]).failed_with(
        1,
        &["another hookmirror process", &data, "HOOKMIRROR_DATA_DIR"],
    );
    // The first one is none the worse for it, and leaves the place to the next.
    assert!(super::process::is_ready(home.address));
    service.kill();
    home.serve();
}

/// Nobody who sends webhooks has to wait for somebody else's migration.
#[tokio::test(flavor = "multi_thread")]
async fn the_front_door_opens_while_another_process_migrates() {
    let database = TestDatabase::empty().await;
    let mut other = database.stranger().await;
    let lock = 0x686f_6f6b_6d69_6772_i64;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(lock)
        .execute(&mut other)
        .await
        .unwrap();
    let home = Home::new().with("DATABASE_URL", &database.url);
    let service = home.serve();
    assert!(service.stderr().contains("migrating"));
    assert!(!service.stderr().contains("work begins"));
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(lock)
        .execute(&mut other)
        .await
        .unwrap();
    wait_until("work begins", || service.stderr().contains("work begins"));
}

#[test]
fn an_address_that_is_taken_is_named_with_the_setting_that_changes_it() {
    let home = Home::new();
    let _taken = std::net::TcpListener::bind(home.address).unwrap();
    let address = home.address.to_string();
    home.run(["run"])
        .failed_with(1, &[&address, "HOOKMIRROR_LISTEN", "in use"]);
}

#[test]
fn all_problems_are_told_at_once_and_nothing_listens() {
    let home = Home::new();
    home.write("file", "");
    let unusable = home.path().join("file/data").display().to_string();
    let file = home.write("settings.toml", "HOOKMIRROR_LISTN = \"127.0.0.1:1\"\n");
    let home = home
        .with("HOOKMIRROR_CONFIG", file.to_str().unwrap())
        .with("HOOKMIRROR_DATA_DIR", &unusable)
        .with("DATABASE_URL", "postgres://me:TUFSS0VS#@db/mirror")
        .with("AMQP_URL", "amqp://me:TUFSS0VS#@broker")
        .with("STRIPE_WEBHOOK_SECRET", "stripeMARKERwithoutItsPrefix")
        .with("HOOKMIRROR_MAX_BODY_BYTES", "1MiB");
    let ran = home.run(["run"]);
    ran.failed_with(
        2,
        &[
            "unknown_setting",
            "settings.toml, line 1",
            "did you mean HOOKMIRROR_LISTEN?",
            "invalid_database_url",
            "invalid_amqp_url",
            "invalid_signing_secret",
            "not_a_whole_number",
        ],
    );
    assert!(TcpStream::connect(home.address).is_err());

    // Everything but the file is right: now the directory is certain, and looked at.
    let home = home
        .without("HOOKMIRROR_CONFIG")
        .without("AMQP_URL")
        .without("DATABASE_URL");
    home.run(["run"]).failed_with(
        2,
        &[
            "data_dir_not_writable",
            "invalid_signing_secret",
            "3 problems",
        ],
    );
}

#[test]
fn the_queues_own_file_is_not_a_database() {
    let home = Home::new();
    let queue = format!(
        "sqlite:{}",
        home.data_dir().join("../data/queue.db").display()
    );
    let home = home.with("DATABASE_URL", &queue);
    for command in [&["run"][..], &["migrate"], &["events", "stats"]] {
        home.run(command.iter().copied())
            .failed_with(2, &["DATABASE_URL", "queue", "database_is_the_queue"]);
    }
    assert!(!home.data_dir().join("queue.db").exists());
}

#[test]
fn a_queue_that_is_not_one_is_left_alone() {
    let home = Home::new();
    std::fs::create_dir(home.data_dir()).unwrap();
    let file = home.write("data/queue.db", "someone's precious notes, not a database");
    home.run(["run"]).failed_with(1, &["queue.db"]);
    assert!(
        std::fs::read_to_string(file)
            .unwrap()
            .starts_with("someone's")
    );
}
