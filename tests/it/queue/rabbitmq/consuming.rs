//! What is handed out, acknowledged, and handed out again.

use std::time::Duration;

use hookmirror::queue::Consumer;
use hookmirror::queue::rabbitmq::Settings;
use lapin::options::QueueDeleteOptions;

use super::super::{Engine, PATIENCE, assert_empty, event, numbers, publish, set, take_together};
use super::{SETTINGS, Shared, Stranger, connected, drain_patiently, publish_patiently, queue};
use crate::support::proxy::Proxy;
use crate::support::rabbitmq::{RabbitMq, topology};

#[tokio::test]
async fn batches_acknowledged_out_of_order_take_nothing_else_along() {
    let shared = Shared::fresh().await;
    let publisher = shared.publisher().await;
    publish(&*publisher, 0..12).await;
    let mut consumer = shared.queue.consumer();
    let all = take_together(&mut consumer, 12).await;
    all.delivery.give_back();
    let mut batches = Vec::new();
    for _ in 0..4 {
        batches.push(take_together(&mut consumer, 3).await);
    }
    let [first, second, third, fourth] = <[_; 4]>::try_from(batches).unwrap();
    assert_eq!(numbers(&second), [3, 4, 5]);
    // Not "all up to here": the first batch lies below it.
    third.delivery.ack().await.unwrap();
    first.delivery.ack().await.unwrap();
    // While the second one is out, the last one must not take it along.
    fourth.delivery.ack().await.unwrap();
    drop(second);
    drop(consumer);

    let shared = shared.reopened().await;
    let mut consumer = shared.queue.consumer();
    let left = take_together(&mut consumer, 3).await;
    assert_eq!(numbers(&left), [3, 4, 5]);
    left.delivery.ack().await.unwrap();
    assert_empty(&*shared.publisher().await, &mut consumer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledgements_at_once_do_not_trip_over_each_other() {
    let shared = Shared::fresh().await;
    let publisher = shared.publisher().await;
    let mut consumer = shared.queue.consumer();
    for _ in 0..10 {
        publish(&*publisher, 0..60).await;
        let all = take_together(&mut consumer, 60).await;
        all.delivery.give_back();
        let mut batches = Vec::new();
        for _ in 0..20 {
            batches.push(take_together(&mut consumer, 3).await.delivery);
        }
        let acks = batches.into_iter().rev().map(|delivery| delivery.ack());
        for acknowledged in futures_util::future::join_all(acks).await {
            acknowledged.unwrap();
        }
    }
    assert_empty(&*publisher, &mut consumer).await;
}

#[tokio::test]
async fn a_lost_session_is_told_once_and_everything_comes_again() {
    let broker = RabbitMq::shared();
    let proxy = Proxy::to(broker.address()).await;
    let topology = topology();
    let queue = queue(&broker.url_through(proxy.port()), &topology, SETTINGS);
    let publisher = connected(&queue).await;
    publish(&publisher, 0..5).await;
    let mut consumer = queue.consumer();
    let held = take_together(&mut consumer, 2).await;
    proxy.cut();

    let taking = async {
        loop {
            match consumer.take(5).await {
                Ok(batch) => batch.delivery.give_back(),
                Err(error) => return error,
            }
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, taking).await;
    let error = told.expect("a loss is told");
    assert!(!error.to_string().contains("guest"));
    assert!(held.delivery.ack().await.is_err());
    let drained = drain_all(&mut consumer, 5).await;
    assert_eq!(set(drained), set(0..5));
}

/// No further loss may be told.
async fn drain_all(consumer: &mut dyn Consumer, count: usize) -> Vec<u32> {
    super::super::drain(consumer, count).await
}

#[tokio::test]
async fn a_deleted_queue_is_declared_anew_and_consumed() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    publish(&publisher, 0..3).await;
    let mut consumer = shared.queue.consumer();
    let held = take_together(&mut consumer, 3).await;
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let name = shared.topology.work_queue.as_str();
    let options = QueueDeleteOptions::default();
    let deleted = stranger.channel.queue_delete(name.into(), options);
    deleted.await.unwrap();

    let lost = tokio::time::timeout(PATIENCE, consumer.take(1)).await;
    assert!(lost.expect("the end is noticed").is_err());
    assert!(held.delivery.ack().await.is_err());
    publish_patiently(&publisher, "evt_7").await;
    assert_eq!(drain_patiently(&mut consumer, 1).await, [7]);
}

#[tokio::test]
async fn a_batch_in_hand_outlives_its_consumer() {
    let shared = Shared::fresh().await;
    let publisher = shared.publisher().await;
    publish(&*publisher, 0..4).await;
    let mut consumer = shared.queue.consumer();
    let held = take_together(&mut consumer, 2).await;
    drop(consumer);
    tokio::task::yield_now().await;
    held.delivery.ack().await.unwrap();
    let mut consumer = shared.queue.consumer();
    assert_eq!(drain_all(&mut consumer, 2).await, [2, 3]);
    assert_empty(&*publisher, &mut consumer).await;
}

#[tokio::test]
async fn a_batch_of_large_bodies_is_cut() {
    const LARGE: usize = 3 * 1024 * 1024;
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    for number in 0..8 {
        let mut large = event(format!("evt_{number}"));
        large.body = vec![b' '; LARGE].into();
        publish_large(&publisher, large).await;
    }
    let mut consumer = shared.queue.consumer();
    let first = take_together(&mut consumer, 6).await;
    first.delivery.give_back();
    let mut batch = super::super::take(&mut consumer, 100).await;
    assert!(batch.events.len() <= 6, "{} events", batch.events.len());
    let mut seen = numbers(&batch);
    while seen.len() < 8 {
        batch.delivery.ack().await.unwrap();
        batch = super::super::take(&mut consumer, 100).await;
        seen.extend(numbers(&batch));
    }
    assert_eq!(seen, Vec::from_iter(0..8));
}

async fn publish_large(
    publisher: &dyn hookmirror::queue::Publisher,
    event: hookmirror::model::event::Event,
) {
    let _ = publisher.publish(event).await.unwrap();
}

/// The broker takes its time to say goodbye to a session that nobody took from.
#[tokio::test]
async fn who_comes_while_an_idle_session_is_ended_is_not_forgotten() {
    let broker = RabbitMq::shared();
    let topology = topology();
    let direct = queue(&broker.url(), &topology, SETTINGS);
    publish(&connected(&direct).await, 0..3).await;
    let proxy = Proxy::to(broker.address()).await;
    let settings = Settings {
        answer_timeout: Duration::from_secs(3),
        idle_after: Duration::from_millis(300),
        ..SETTINGS
    };
    let queue = queue(&broker.url_through(proxy.port()), &topology, settings);
    let mut consumer = queue.consumer();
    let batch = consumer.take(1).await.unwrap();
    // The others have come by then.
    tokio::time::sleep(Duration::from_millis(100)).await;
    batch.delivery.ack().await.unwrap();
    proxy.mute();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.unmute();
        publish(&connected(&direct).await, [3]).await;
    };
    let (seen, ()) = tokio::join!(drain_patiently(&mut consumer, 3), later);
    assert_eq!(seen, [1, 2, 3]);
}
