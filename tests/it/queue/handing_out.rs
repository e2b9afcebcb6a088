//! What is handed out, to whom, and when again.

use std::collections::BTreeSet;
use std::task::Poll;

use futures_util::poll;

use super::{Engine, assert_empty, drain, numbers, publish, set, take, take_together};

pub(super) async fn what_is_ready_is_taken_without_waiting_for_more<E: Engine>(engine: E) {
    publish(&*engine.publisher().await, 0..3).await;
    let mut consumer = engine.consumer().await;
    let mut taken = Vec::new();
    while taken.len() < 3 {
        let batch = take(&mut *consumer, 100).await;
        taken.extend(numbers(&batch));
        batch.delivery.ack().await.unwrap();
    }
    assert_eq!(taken, [0, 1, 2]);
}

pub(super) async fn an_empty_queue_waits_for_an_event<E: Engine>(engine: E) {
    let publisher = engine.publisher().await;
    let mut consumer = engine.consumer().await;
    for number in 0..20 {
        let mut taking = Box::pin(take(&mut *consumer, 10));
        assert!(poll!(&mut taking).is_pending());
        let (batch, ()) = tokio::join!(taking, publish(&*publisher, [number]));
        assert_eq!(numbers(&batch), [number]);
        batch.delivery.ack().await.unwrap();
    }
}

pub(super) async fn events_come_oldest_first<E: Engine>(engine: E) {
    let publisher = engine.publisher().await;
    let mut consumer = engine.consumer().await;
    publish(&*publisher, 0..25).await;
    let mut seen = Vec::new();
    let mut held = Vec::new();
    while seen.len() < 25 {
        let batch = take(&mut *consumer, 4).await;
        seen.extend(numbers(&batch));
        held.push(batch.delivery);
    }
    assert_eq!(seen, Vec::from_iter(0..25));
}

pub(super) async fn a_batch_given_back_comes_again_before_newer_events<E: Engine>(engine: E) {
    publish(&*engine.publisher().await, 0..6).await;
    let mut consumer = engine.consumer().await;
    let (first, second) = (take(&mut *consumer, 2).await, take(&mut *consumer, 2).await);
    // In whatever order they come back.
    second.delivery.give_back();
    first.delivery.give_back();
    let drained = drain(&mut *consumer, 6).await;
    assert_eq!(drained, Vec::from_iter(0..6));
}

pub(super) async fn a_batch_dropped_unsettled_comes_again<E: Engine>(engine: E) {
    let publisher = engine.publisher().await;
    publish(&*publisher, 0..2).await;
    let mut consumer = engine.consumer().await;
    for _ in 0..3 {
        let batch = take_together(&mut *consumer, 2).await;
        assert_eq!(numbers(&batch), [0, 1]);
        drop(batch);
    }
    assert_eq!(drain(&mut *consumer, 2).await, [0, 1]);
    assert_empty(&*publisher, &mut *consumer).await;
}

pub(super) async fn a_larger_batch_given_back_comes_again_in_smaller_ones<E: Engine>(engine: E) {
    publish(&*engine.publisher().await, 0..5).await;
    let mut consumer = engine.consumer().await;
    let batch = take_together(&mut *consumer, 5).await;
    batch.delivery.give_back();
    let mut held = Vec::new();
    for expected in [vec![0, 1], vec![2, 3], vec![4]] {
        let batch = take(&mut *consumer, 2).await;
        assert_eq!(numbers(&batch), expected);
        held.push(batch);
    }
}

pub(super) async fn a_cancelled_take_loses_nothing<E: Engine>(engine: E) {
    let publisher = engine.publisher().await;
    let mut consumer = engine.consumer().await;
    let mut published = 0;
    // Given up on after more and more steps, with events there and without.
    for steps in 0..60 {
        {
            let mut taking = consumer.take(3);
            for _ in 0..steps {
                if let Poll::Ready(batch) = poll!(&mut taking) {
                    batch.unwrap().delivery.give_back();
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        if steps % 3 == 0 {
            publish(&*publisher, [published]).await;
            published += 1;
        }
    }
    let drained = drain(&mut *consumer, 20).await;
    assert_eq!(set(drained), set(0..published));
    assert_empty(&*publisher, &mut *consumer).await;
}

/// Whoever gives up on an acknowledgement does not know whether it happened. The batch may come
/// again or not; what stands behind it must come.
pub(super) async fn an_abandoned_acknowledgement_hides_nothing<E: Engine>(engine: E) {
    let publisher = engine.publisher().await;
    let mut consumer = engine.consumer().await;
    for round in 0..20 {
        publish(&*publisher, [2 * round, 2 * round + 1]).await;
        let batch = take(&mut *consumer, 1).await;
        let mut ack = batch.delivery.ack();
        let _ = poll!(&mut ack);
        drop(ack);
        // Orders are carried out in turn, so by now the removal has been.
        publisher.ready().await.unwrap();
        let mut seen = BTreeSet::new();
        while !seen.contains(&(2 * round + 1)) {
            let batch = take(&mut *consumer, 1).await;
            seen.extend(numbers(&batch));
            batch.delivery.ack().await.unwrap();
        }
    }
    assert_empty(&*publisher, &mut *consumer).await;
}

pub(super) async fn consumers_never_get_the_same_event_at_once<E: Engine>(engine: E) {
    const EVENTS: usize = 200;
    let publisher = engine.publisher().await;
    publish(&*publisher, 0..100).await;
    let (mut one, mut other) = (engine.consumer().await, engine.consumer().await);
    let (sender, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let workers: Vec<_> = [&mut one, &mut other]
        .into_iter()
        .map(|consumer| {
            let sender = sender.clone();
            async move {
                loop {
                    let batch = consumer.take(7).await.unwrap();
                    // Nothing is settled while the test runs: whatever comes twice is wrong.
                    sender.send(batch).unwrap();
                }
            }
        })
        .collect();
    let work = futures_util::future::join_all(workers);
    let count = async {
        publish(&*publisher, 100..200).await;
        let mut held = Vec::new();
        let mut seen = Vec::new();
        while seen.len() < EVENTS {
            let batch = taken.recv().await.unwrap();
            seen.extend(numbers(&batch));
            held.push(batch);
        }
        seen
    };
    let seen = tokio::select! {
        _ = work => unreachable!("consumers do not end"),
        seen = tokio::time::timeout(super::PATIENCE, count) => seen.unwrap(),
    };
    assert_eq!(seen.len(), EVENTS);
    assert_eq!(set(seen), set(0..200));
}

pub(super) async fn one_consumer_gives_back_what_another_one_waits_for<E: Engine>(engine: E) {
    publish(&*engine.publisher().await, [7]).await;
    let (mut one, mut other) = (engine.consumer().await, engine.consumer().await);
    let held = take(&mut *one, 10).await;
    let mut waiting = Box::pin(take(&mut *other, 10));
    for _ in 0..10 {
        assert!(poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
    held.delivery.give_back();
    assert_eq!(numbers(&waiting.await), [7]);
}
