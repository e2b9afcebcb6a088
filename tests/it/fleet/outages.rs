//! Everything is killed while events come in.

use super::Fleet;
use crate::cli::convergence::{rehearse, send, words};
use crate::cli::process::{CREATED, DELETED, PAID, UPDATED};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_every_acknowledged_event_has_its_effect_once() {
    let mut fleet = Fleet::new().await;
    let story = |seed| {
        let options = format!("--count 1700 --duplicates 20 --shuffle --seed {seed} --rate 400");
        send(&[CREATED, UPDATED, PAID], &options)
    };
    let stories = [22, 23, 24].map(story);
    let deletions = send(&[CREATED, DELETED], "--count 100 --seed 22");
    let [one, two, three] = &stories;
    let all = [&deletions[..], one, two, three];
    let reference = rehearse(&fleet.home, &fleet.clerk, &all);
    let _serve = fleet.home.listen("serve");
    let _others = ["work", "dispatch"].map(|role| fleet.start(role));
    let mut victim = fleet.start("work");
    fleet.home.output(words(&deletions));

    for (round, story) in stories.iter().enumerate() {
        let before = fleet.count("SELECT COUNT(*) FROM events").await.unwrap();
        let mut sending = fleet.home.start(words(story));
        fleet.recorded(before + 100).await;
        assert!(!sending.has_ended(), "nothing was under way");
        victim.kill();
        if round == 1 {
            fleet.postgres.kill();
            fleet.postgres.restart().await;
        } else {
            fleet.kill_rabbitmq().await;
            fleet.rabbitmq.restart().await;
        }
        victim = fleet.start("work");
        let (status, stdout, _) = sending.wait();
        assert!(status.success(), "{stdout}");
    }
    fleet.come_to_rest(&reference).await;
    fleet.check(&reference).await;
    drop(victim);
}

/// The same at full speed: everything is sent before the second death, and has to be worked through.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_worked_through_whatever_is_killed() {
    let mut fleet = Fleet::new().await;
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 5000 --duplicates 20 --shuffle --seed 25 --concurrency 64",
    );
    let reference = rehearse(&fleet.home, &fleet.clerk, &[&story]);
    let _serve = fleet.home.listen("serve");
    let _others = ["work", "dispatch"].map(|role| fleet.start(role));
    let mut victim = fleet.start("work");
    let sending = fleet.home.start(words(&story));
    fleet.recorded(200).await;

    victim.kill();
    fleet.kill_rabbitmq().await;
    fleet.rabbitmq.restart().await;
    victim = fleet.start("work");
    fleet.recorded(1200).await;
    fleet.postgres.kill();
    victim.kill();
    fleet.postgres.restart().await;
    victim = fleet.start("work");
    fleet.recorded(2200).await;
    victim.kill();
    fleet.kill_rabbitmq().await;
    victim = fleet.start("work");
    fleet.rabbitmq.restart().await;

    let (status, stdout, _) = sending.wait();
    assert!(status.success(), "{stdout}");
    fleet.come_to_rest(&reference).await;
    fleet.check(&reference).await;
    drop(victim);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_both_are_away_events_are_kept_and_afterwards_applied() {
    let mut fleet = Fleet::new().await;
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 600 --duplicates 20 --shuffle --seed 23 --retry-for 0",
    );
    let reference = rehearse(&fleet.home, &fleet.clerk, &[&story]);
    let run = fleet.home.serve();
    fleet.postgres.kill();
    fleet.kill_rabbitmq().await;
    fleet.home.output(words(&story));
    let readiness = fleet.home.readiness();
    assert!(readiness.contains("degraded"), "{readiness}");

    // Not even that costs anything: the spool is on the disk.
    run.kill();
    let _run = fleet.home.listen("run");
    fleet.postgres.restart().await;
    fleet.rabbitmq.restart().await;
    fleet.come_to_rest(&reference).await;
    fleet.check(&reference).await;
    let attempts = fleet.count("SELECT COUNT(*) FROM event_attempts").await;
    assert_eq!(attempts, Some(0), "nobody was charged an attempt");
}
