//! A 2xx is a promise, whatever happens to the broker just then.

use serde_json::Value;

use super::Fleet;
use crate::cli::convergence::{send, words};
use crate::cli::process::{CREATED, Patience, Running};

const AT_A_TIME: i64 = 200;
/// So many are at the broker when it is killed, or more.
const BEFORE_THE_KILL: i64 = 500;

/// Distinct events, some at a time, each sent once.
fn many(count: u32, seed: u32) -> Vec<String> {
    let options = format!(
        "--count {count} --concurrency {AT_A_TIME} --rate 4000 --seed {seed} --retry-for 0 --json"
    );
    send(&[CREATED], &options)
}

fn accepted(sending: Running) -> i64 {
    let (_, stdout, _) = sending.wait();
    let report: Value = serde_json::from_str(&stdout).unwrap();
    report["accepted"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_under_load_has_what_was_acknowledged() {
    let mut fleet = Fleet::new().await;
    fleet.home = fleet.home.with("HOOKMIRROR_SPOOL_MAX_BYTES", "0");
    let _serve = fleet.home.listen("serve");
    fleet.rabbitmq.write_down_queues().await;
    let sending = fleet.home.start(words(&many(20_000, 31)));
    let mut patience = Patience::new();
    while i64::from(fleet.waiting_at_the_broker().await) < BEFORE_THE_KILL {
        patience.look_again().await;
    }
    fleet.rabbitmq.kill();
    let accepted = accepted(sending);
    // Those under way may not be confirmed yet.
    let fewest = BEFORE_THE_KILL - AT_A_TIME;
    assert!((fewest..20_000).contains(&accepted), "{accepted} accepted");

    fleet.rabbitmq.restart().await;
    let _work = fleet.start("work");
    // What was not confirmed may be there too.
    fleet.recorded(accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_broker_is_a_503_in_time_or_a_202_with_a_spool() {
    let mut fleet = Fleet::new().await;
    let mut acknowledged = 0;
    for (spool, seed) in [("0", 32), ("100000000", 33)] {
        fleet.home = fleet.home.with("HOOKMIRROR_SPOOL_MAX_BYTES", spool);
        let serve = fleet.home.listen("serve");
        fleet.rabbitmq.set_alarm(true).await;
        let ran = fleet.home.run(words(&many(300, seed)));
        fleet.rabbitmq.set_alarm(false).await;
        serve.kill();

        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let accepted = report["accepted"].as_i64().unwrap();
        acknowledged += accepted;
        // The broker notices an alarm with the first event that comes, and may still take some.
        if spool == "0" {
            assert!(accepted < 300, "{report}");
            assert!(ran.stdout.contains("not_durable"), "{report}");
        } else {
            assert_eq!(accepted, 300, "{report}");
        }
        // Two rounds of 200, in less than the 15 seconds that Svix waits for one.
        let elapsed = report["elapsed_ms"].as_f64().unwrap();
        assert!(elapsed < 12_000.0, "{report}");
    }
    let _run = fleet.home.listen("run");
    fleet.recorded(acknowledged).await;
}
