//! RabbitMQ is away, and the providers do not notice.

use std::time::Duration;

use hookmirror::queue::Publisher;
use hookmirror::queue::embedded::EmbeddedQueue;

use super::Fleet;
use crate::cli::convergence::{rehearse, send, words};
use crate::cli::process::{CREATED, PAID, Patience, UPDATED};
use crate::support::given::event;

#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_without_rabbitmq_costs_no_delivery() {
    const AWAY: Duration = Duration::from_secs(30);
    let fleet = Fleet::new().await;
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 4500 --duplicates 10 --shuffle --seed 21 --rate 150 --retry-for 0 --json",
    );
    let reference = rehearse(&fleet.home, &fleet.clerk, &[&story]);
    let _serve = fleet.home.listen("serve");
    let _others = ["work", "dispatch"].map(|role| fleet.start(role));

    let sending = fleet.home.start(words(&story));
    fleet.recorded(200).await;
    fleet.kill_rabbitmq().await;
    tokio::time::sleep(AWAY).await;
    let waiting = fleet.home.run(["doctor"]).stdout;
    assert!(waiting.contains("spool"), "{waiting}");
    fleet.rabbitmq.restart().await;
    let (status, stdout, _) = sending.wait();
    assert!(status.success(), "not every answer was a 2xx: {stdout}");
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["accepted"], 4950, "{report}");
    assert_eq!(report["retries"], 0, "{report}");

    fleet.come_to_rest(&reference).await;
    fleet.check(&reference).await;
    // What `readyz` says is the last to change: the relay has removed what it has moved.
    let mut patience = Patience::new();
    while fleet.home.readiness().contains("degraded") {
        patience.look_again().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_spool_leaves_it_though_it_was_switched_off() {
    let mut fleet = Fleet::new().await;
    let left = EmbeddedQueue::open(&fleet.home.data_dir()).await.unwrap();
    let acknowledged = left.publisher().publish(event("evt_1", "a.type")).await;
    drop(acknowledged.unwrap());
    left.close().await;

    fleet.home = fleet.home.with("HOOKMIRROR_SPOOL_MAX_BYTES", "0");
    let _run = fleet.home.serve();
    fleet.recorded(1).await;
}
