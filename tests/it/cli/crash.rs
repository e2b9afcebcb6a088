//! Processes that are killed, and processes that are asked to end, while events come in.

use std::time::{Duration, Instant};

use super::convergence::{home_with_clerk, rehearse, send, words};
use super::process::{CREATED, DELETED, Home, PAID, Patience, UPDATED, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_loses_nothing_that_it_acknowledged() {
    let (home, clerk) = home_with_clerk().await;
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 1500 --duplicates 20 --shuffle --seed 13 --rate 1500",
    );
    let deletions = send(&[CREATED, DELETED], "--count 100 --seed 13");
    let reference = rehearse(&home, &clerk, &[&story, &deletions]);

    let mut service = home.serve();
    home.output(words(&deletions));
    let mut sending = home.start(words(&story));
    for acknowledged in [200, 500, 800, 1100, 1400] {
        let mut patience = Patience::new();
        // Every other time somebody holds the database, so that a batch is in hand: taken from the
        // queue, and not committed.
        let held = match acknowledged % 200 {
            0 => Some(home.hold_database().await),
            _ => None,
        };
        while home.acknowledged().await < acknowledged {
            patience.look_again().await;
            assert!(!sending.has_ended(), "over before {acknowledged}");
        }
        service.kill();
        drop(held);
        service = home.serve();
    }
    // Whatever had no 2xx was sent again; whatever had one must be there without.
    let (status, stdout, _) = sending.wait();
    assert!(status.success(), "{stdout}");
    let retried = stdout.contains("retries") && !stdout.contains(" 0 retries");
    assert!(retried, "nothing was under way at any kill: {stdout}");
    // What the killed were about to deliver to Clerk stays leased to them for a minute: it passes.
    home.change(
        "UPDATE outbox SET leased_until = '2000-01-01T00:00:00.000Z', \
         next_attempt_at = '2000-01-01T00:00:00.000Z' WHERE leased_until IS NOT NULL",
    )
    .await;
    home.come_to_rest().await;
    reference.check(&home, &clerk).await;
    drop(service);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_under_load_it_does_in_time_and_keeps_what_it_acknowledged() {
    let home = Home::new().with("HOOKMIRROR_SHUTDOWN_SECONDS", "5");
    let service = home.serve();
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 3000 --seed 14 --retry-for 0 --json",
    );
    let sending = home.start(words(&story));
    let mut patience = Patience::new();
    while home.acknowledged().await < 300 {
        patience.look_again().await;
    }

    let asked = Instant::now();
    service.signal("TERM");
    let (status, _, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert!(!log.contains("not everything ended"), "{log}");

    let (status, stdout, _) = sending.wait();
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status.code(), Some(1), "it ended before the load: {report}");
    let accepted = report["accepted"].as_u64().unwrap();
    let stats = home.json(["events", "stats", "--json"]);
    let kept = stats["accepted"].as_u64().unwrap();
    assert!(kept >= accepted, "{accepted} acknowledged, {stats}");
    // 16 at a time: more than those cannot have been left without their answer.
    assert!(kept <= accepted + 16, "{accepted} acknowledged, {stats}");

    let _service = home.serve();
    wait_until("the rest is applied", || {
        home.json(["events", "stats", "--json"])["recorded"] == kept
    });
}
