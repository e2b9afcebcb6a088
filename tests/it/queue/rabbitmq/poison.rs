//! A message that kills its process each time must not take its neighbours with it.

use std::collections::BTreeSet;

use hookmirror::queue::{CauseOfDeath, Consumer, DeadLetters, Publisher};

use super::super::{Engine, PATIENCE, event, numbers, publish, take};
use super::{Shared, connected};

const POISON: u32 = 17;
const EVENTS: u32 = 60;

#[tokio::test]
async fn what_kills_each_time_dies_alone() {
    let mut shared = Shared::fresh().await;
    publish(&connected(&shared.queue).await, 0..EVENTS).await;
    let mut applied = BTreeSet::new();
    let mut crashes = 0;
    // The dead queue is looked into by each life, as the worker's drain does.
    let letter = loop {
        let mut consumer = shared.queue.consumer();
        let mut dead = shared.queue.dead_letters();
        let killed = async {
            loop {
                let batch = take(&mut consumer, 10).await;
                if numbers(&batch).contains(&POISON) {
                    return batch;
                }
                applied.extend(numbers(&batch));
                batch.delivery.ack().await.unwrap();
            }
        };
        let batch = tokio::select! {
            batch = killed => batch,
            died = dead.take(10) => break died.unwrap(),
        };
        crashes += 1;
        assert!(crashes < 40, "it does not die");
        if crashes > 2 {
            assert_eq!(numbers(&batch), [POISON], "crash {crashes} took neighbours");
        }
        // The connection goes with the batch in hand, as that of a process that is killed.
        shared = shared.reopened().await;
        drop(batch);
        if crashes == 5 {
            // Newcomers are not in danger either.
            publish(&connected(&shared.queue).await, EVENTS..EVENTS + 5).await;
        }
    };
    assert_eq!(letter.letters.len(), 1, "{letter:?}");
    let dead = &letter.letters[0];
    assert_eq!(dead.event, event(format!("evt_{POISON}")));
    assert_eq!(dead.cause, CauseOfDeath::TooManyDeliveries);
    letter.delivery.ack().await.unwrap();

    let mut expected: BTreeSet<u32> = (0..EVENTS + 5).collect();
    expected.remove(&POISON);
    let mut consumer = shared.queue.consumer();
    while applied != expected {
        let batch = take(&mut consumer, 10).await;
        applied.extend(numbers(&batch));
        batch.delivery.ack().await.unwrap();
    }
    let depth = shared.queue.check().await.unwrap();
    assert_eq!(depth.dead, 0, "only the one that kills dies");
}

/// A crash elsewhere sends suspects to a worker in the middle of its work.
#[tokio::test]
async fn suspects_from_elsewhere_are_handed_out_alone_and_last() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    // Two lives charge the first events twice.
    publish(&publisher, 0..3).await;
    let mut shared = shared;
    for _ in 0..2 {
        let mut consumer = shared.queue.consumer();
        let held = super::super::take_together(&mut consumer, 3).await;
        shared = shared.reopened().await;
        drop(held);
    }
    // The third life holds them back one by one, and meanwhile others come.
    let publisher = connected(&shared.queue).await;
    let mut consumer = shared.queue.consumer();
    let suspect = take(&mut consumer, 10).await;
    assert_eq!(suspect.events.len(), 1);
    let _ = publisher.publish(event("evt_10")).await.unwrap();
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(100), consumer.take(10));
    assert!(waiting.await.is_err(), "a second one while one is out");
    suspect.delivery.ack().await.unwrap();
    for _ in 0..2 {
        let suspect = take(&mut consumer, 10).await;
        assert_eq!(suspect.events.len(), 1);
        suspect.delivery.ack().await.unwrap();
    }
    let other = tokio::time::timeout(PATIENCE, consumer.take(10)).await;
    assert_eq!(numbers(&other.unwrap().unwrap()), [10]);
}
