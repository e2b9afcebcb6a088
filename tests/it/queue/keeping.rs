//! What is confirmed is kept, exactly, until it is acknowledged.

use hookmirror::model::event::{Event, EventId, EventKey, EventType, Trigger};
use hookmirror::model::headers::{KeptHeader, KeptHeaders};
use hookmirror::model::source::SourceName;
use hookmirror::model::time::Timestamp;
use hookmirror::model::trace::TraceIds;

use super::{Engine, assert_empty, drain, event, publish, take, take_together};

pub(super) async fn every_field_and_byte_is_preserved<E: Engine>(engine: E) {
    let bodies: [Vec<u8>; 4] = [
        Vec::new(),
        (0..=255).collect(),
        br#"{ "a" :1.0 }"#.to_vec(),
        vec![0xff; 1024 * 1024],
    ];
    let events: Vec<Event> = bodies
        .into_iter()
        .enumerate()
        .map(|(number, body)| Event {
            key: EventKey {
                source: SourceName::parse("stripe-test-2").unwrap(),
                id: EventId::parse(&format!("{number}{}", "~".repeat(254))).unwrap(),
            },
            event_type: EventType::parse(&"t".repeat(128)).unwrap(),
            received_at: Timestamp::from_millis(1_795_000_000_123),
            trigger: Trigger::Webhook,
            // One of them is without either, as a message of the version before is.
            headers: match number {
                0 => KeptHeaders::default(),
                _ => KeptHeaders::of([
                    (
                        KeptHeader::UserAgent,
                        &b"Svix-Webhooks/1.7 \"quoted\" \\"[..],
                    ),
                    (KeptHeader::SvixTimestamp, b"1795000000"),
                ]),
            },
            trace: (number > 0).then(|| TraceIds::of(7).span(None)),
            body: body.into(),
        })
        .collect();
    let publisher = engine.publisher().await;
    for event in &events {
        let _ = publisher.publish(event.clone()).await.unwrap();
    }
    drop(publisher);
    let engine = engine.reopened().await;
    let batch = take_together(&mut *engine.consumer().await, events.len()).await;
    assert!(batch.events == events, "an event changed on the way");
}

pub(super) async fn confirmed_events_survive_reopening<E: Engine>(engine: E) {
    publish(&*engine.publisher().await, 0..5).await;
    let engine = engine.reopened().await;
    publish(&*engine.publisher().await, 5..8).await;
    let engine = engine.reopened().await;
    let drained = drain(&mut *engine.consumer().await, 8).await;
    assert_eq!(drained, Vec::from_iter(0..8));
}

pub(super) async fn acknowledged_events_are_gone_for_good<E: Engine>(engine: E) {
    publish(&*engine.publisher().await, 0..5).await;
    let mut consumer = engine.consumer().await;
    let batch = take_together(&mut *consumer, 3).await;
    batch.delivery.ack().await.unwrap();
    drop(consumer);

    let engine = engine.reopened().await;
    let mut consumer = engine.consumer().await;
    assert_eq!(drain(&mut *consumer, 2).await, [3, 4]);
    drop(consumer);
    let engine = engine.reopened().await;
    assert_empty(&*engine.publisher().await, &mut *engine.consumer().await).await;
}

pub(super) async fn events_that_were_not_acknowledged_are_there_after_reopening<E: Engine>(
    engine: E,
) {
    publish(&*engine.publisher().await, 0..6).await;
    let mut consumer = engine.consumer().await;
    let held = take(&mut *consumer, 2).await;
    take(&mut *consumer, 2).await.delivery.give_back();
    drop((held, consumer));
    let engine = engine.reopened().await;
    let drained = drain(&mut *engine.consumer().await, 6).await;
    assert_eq!(drained, Vec::from_iter(0..6));
}

/// Duplicates are for the store to find: the queue must not swallow what looks like one.
pub(super) async fn the_same_event_twice_is_two_messages<E: Engine>(engine: E) {
    let publisher = engine.publisher().await;
    publish(&*publisher, [1, 1]).await;
    let drained = drain(&mut *engine.consumer().await, 2).await;
    assert_eq!(drained, [1, 1]);
}

pub(super) async fn readiness_leaves_nothing_behind<E: Engine>(engine: E) {
    let publisher = engine.publisher().await;
    let mut consumer = engine.consumer().await;
    for _ in 0..3 {
        publisher.ready().await.unwrap();
    }
    let _ = publisher.publish(event("evt_1")).await.unwrap();
    publisher.ready().await.unwrap();
    assert_eq!(drain(&mut *consumer, 1).await, [1]);
    assert_empty(&*publisher, &mut *consumer).await;
}
