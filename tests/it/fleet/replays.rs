//! Workers are killed while a replay runs.

use super::Fleet;
use crate::cli::convergence::{rehearse, send, words};
use crate::cli::process::{CREATED, PAID, Patience, UPDATED};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_each_event_of_a_replay_is_processed_once() {
    let mut fleet = Fleet::new().await;
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 600 --shuffle --seed 41 --concurrency 64",
    );
    let reference = rehearse(&fleet.home, &fleet.clerk, &[&story]);
    let _serve = fleet.home.listen("serve");
    let _others = ["work", "dispatch"].map(|role| fleet.start(role));
    let mut victim = fleet.start("work");
    fleet.home.output(words(&story));
    fleet.come_to_rest(&reference).await;

    let why = ["--execute", "--reason", "a drill"];
    let order = ["replay", "--all", "--rate", "100"].into_iter().chain(why);
    fleet.home.output(order);
    let events = i64::try_from(reference.events.len()).unwrap();
    for round in 1..=3 {
        let mut patience = Patience::new();
        let settled = "SELECT COUNT(*) FROM replay_events WHERE state = 'done'";
        while fleet.count(settled).await < Some(round * 100) {
            patience.look_again().await;
        }
        victim.kill();
        if round == 2 {
            fleet.kill_rabbitmq().await;
            fleet.rabbitmq.restart().await;
        }
        if round == 3 {
            fleet.postgres.kill();
            fleet.postgres.restart().await;
        }
        victim = fleet.start("work");
    }
    let mut patience = Patience::new();
    let done = "SELECT COUNT(*) FROM replays WHERE state = 'done'";
    while fleet.count(done).await != Some(1) {
        patience.look_again().await;
    }
    let settled = "SELECT COUNT(*) FROM replay_events \
         WHERE state = 'done' AND state_after = 'applied' AND error IS NULL";
    assert_eq!(fleet.count(settled).await, Some(events));
    let attempts = "SELECT COUNT(*) FROM event_attempts WHERE trigger = 'replay:1'";
    assert_eq!(fleet.count(attempts).await, Some(events), "one each");
    let twice = "SELECT COUNT(*) FROM events WHERE attempts <> 2";
    assert_eq!(fleet.count(twice).await, Some(0));
    drop(victim);
}
