//! What is published, and when it counts as durable.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use hookmirror::model::event::{EventId, EventType};
use hookmirror::queue::rabbitmq::{PublishFailure, RabbitError, Settings};
use hookmirror::queue::{Consumer, Publisher, Readiness};
use lapin::options::{ExchangeDeleteOptions, QueueBindOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};

use super::super::{Engine, event, take};
use super::{SETTINGS, Shared, Stranger, connected, failure, publish_patiently, queue};
use crate::support::given::at;
use crate::support::proxy::Proxy;
use crate::support::rabbitmq::{RabbitMq, topology};

#[tokio::test]
async fn a_message_looks_as_others_rely_on() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let event = event("evt_1");
    let _ = publisher.publish(event.clone()).await.unwrap();

    let stranger = Stranger::new(RabbitMq::shared()).await;
    let message = stranger.get(&shared.topology.work_queue).await.unwrap();
    let properties = &message.properties;
    assert_eq!(message.exchange.as_str(), shared.topology.events_exchange);
    assert_eq!(message.routing_key.as_str(), "stripe.a.type");
    assert_eq!(message.data, event.body);
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(
        properties.message_id().as_ref().unwrap().as_str(),
        "stripe/evt_1"
    );
    assert_eq!(properties.kind().as_ref().unwrap().as_str(), "a.type");
    assert_eq!(
        *properties.timestamp(),
        Some(u64::try_from(at(0).as_seconds()).unwrap())
    );
    let headers = properties.headers().clone().unwrap();
    let text = |text: &str| Some(AMQPValue::LongString(text.into()));
    let header = |name: &str| headers.inner().get(name).cloned();
    assert_eq!(
        header("x-hookmirror-received-at"),
        text(&event.received_at.to_string())
    );
    assert_eq!(header("x-hookmirror-trigger"), text("webhook"));
    let ours = |name: &&lapin::types::ShortString| name.as_str().starts_with("x-hookmirror");
    assert_eq!(headers.inner().keys().filter(ours).count(), 2);
}

#[tokio::test]
async fn an_id_too_long_for_its_property_survives() {
    let shared = Shared::fresh().await;
    let mut long = event("evt_1");
    long.key.id = EventId::parse(&"~".repeat(249)).unwrap();
    let mut longest = long.clone();
    longest.key.id = EventId::parse(&"!".repeat(255)).unwrap();
    let publisher = connected(&shared.queue).await;
    for event in [&long, &longest] {
        let _ = publisher.publish(event.clone()).await.unwrap();
    }
    let mut consumer = shared.queue.consumer();
    let mut events = Vec::new();
    while events.len() < 2 {
        let batch = take(&mut consumer, 2).await;
        events.extend(batch.events);
        batch.delivery.ack().await.unwrap();
    }
    assert_eq!(events, [long, longest]);
}

#[tokio::test]
async fn without_its_binding_no_event_is_confirmed_until_it_is_mended() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let _ = publisher.publish(event("evt_0")).await.unwrap();
    let stranger = Stranger::new(RabbitMq::shared()).await;
    unbind(&stranger, &shared).await;

    let error = publisher.publish(event("evt_1")).await.unwrap_err();
    assert!(
        matches!(failure(&error), PublishFailure::Unroutable),
        "{error:?}"
    );
    publish_patiently(&publisher, "evt_2").await;
    let ids = stranger.ids(&shared.topology.work_queue).await;
    assert_eq!(ids, ["evt_0", "evt_2"]);
}

async fn unbind(stranger: &Stranger, shared: &Shared) {
    let (queue, exchange) = (
        shared.topology.work_queue.as_str(),
        shared.topology.events_exchange.as_str(),
    );
    stranger
        .channel
        .queue_unbind(
            queue.into(),
            exchange.into(),
            "#".into(),
            FieldTable::default(),
        )
        .await
        .unwrap();
}

/// The library gives a returned message to whichever confirm completes next.
#[tokio::test]
async fn what_was_returned_never_passes_for_confirmed() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let (queue, exchange) = (
        shared.topology.work_queue.as_str(),
        shared.topology.events_exchange.as_str(),
    );
    let options = QueueBindOptions::default();
    let bound = stranger.channel.queue_bind(
        queue.into(),
        exchange.into(),
        "*.kept".into(),
        options,
        FieldTable::default(),
    );
    bound.await.unwrap();
    // A channel that is replaced late may mend the binding for a whole round.
    let mut failed = 0;
    for round in 0..20 {
        unbind(&stranger, &shared).await;
        let events: Vec<_> = (0..40)
            .map(|number| {
                let mut event = event(format!("evt_{round}_{number}"));
                let kind = if number % 4 == 3 { "lost" } else { "kept" };
                event.event_type = EventType::parse(kind).unwrap();
                event
            })
            .collect();
        let results = join_all(events.iter().map(|event| publisher.publish(event.clone()))).await;
        let stored: BTreeSet<String> = stranger.ids(queue).await.into_iter().collect();
        for (event, result) in events.iter().zip(results) {
            failed += usize::from(result.is_err());
            assert!(
                result.is_err() || stored.contains(event.key.id.as_str()),
                "{event:?} is nowhere"
            );
        }
        publish_patiently(&publisher, "evt_mended").await;
        stranger.ids(queue).await;
    }
    assert!(failed > 0, "nothing was returned");
}

#[tokio::test]
async fn a_channel_that_closes_fails_what_is_in_flight_and_is_replaced() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let exchange = shared.topology.events_exchange.as_str();
    let options = ExchangeDeleteOptions::default();
    let deleted = stranger.channel.exchange_delete(exchange.into(), options);
    deleted.await.unwrap();
    let error = publisher.publish(event("evt_1")).await.unwrap_err();
    assert!(
        matches!(
            failure(&error),
            PublishFailure::Lost(RabbitError::Missing { .. })
        ),
        "{error:?}"
    );
    publish_patiently(&publisher, "evt_2").await;
    let ids = stranger.ids(&shared.topology.work_queue).await;
    assert_eq!(ids, ["evt_2"]);
}

#[tokio::test]
async fn a_confirm_that_does_not_come_is_no_confirm() {
    let broker = RabbitMq::shared();
    let proxy = Proxy::to(broker.address()).await;
    let settings = Settings {
        confirm_timeout: Duration::from_millis(300),
        ..SETTINGS
    };
    let queue = queue(&broker.url_through(proxy.port()), &topology(), settings);
    let publisher = connected(&queue).await;
    proxy.mute();
    let error = publisher.publish(event("evt_1")).await.unwrap_err();
    assert!(
        matches!(failure(&error), PublishFailure::TimedOut(_)),
        "{error:?}"
    );
    proxy.unmute();
    publish_patiently(&publisher, "evt_2").await;

    proxy.mute();
    let (result, ()) = tokio::join!(publisher.publish(event("evt_3")), async {
        proxy.cut();
    });
    assert!(result.is_err());
    proxy.unmute();
    publish_patiently(&publisher, "evt_4").await;
}

#[tokio::test]
async fn without_a_connection_publishing_fails_at_once() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let url = RabbitMq::shared().url_through(port);
    let queue = queue(&url, &topology(), SETTINGS);
    let publisher = queue.publisher();
    for _ in 0..3 {
        let began = std::time::Instant::now();
        let error = publisher.publish(event("evt_1")).await.unwrap_err();
        assert!(
            matches!(failure(&error), PublishFailure::NotConnected(_)),
            "{error:?}"
        );
        assert!(publisher.ready().await.is_err());
        assert!(began.elapsed() < Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let unreachable = queue.check().await.unwrap_err();
    assert!(matches!(unreachable, RabbitError::Unreachable(_)));
    assert!(!unreachable.is_lasting());
    queue.close().await;
    let error = publisher.publish(event("evt_1")).await.unwrap_err();
    assert!(matches!(failure(&error), PublishFailure::Closed));
}

#[tokio::test]
async fn events_published_in_order_are_stored_in_order() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let ids: Vec<String> = (0..300).map(|number| format!("evt_{number}")).collect();
    let proofs = publisher.publish_in_order(ids.iter().map(event).collect());
    assert_eq!(proofs.await.unwrap().len(), 300);
    let stranger = Stranger::new(RabbitMq::shared()).await;
    assert_eq!(stranger.ids(&shared.topology.work_queue).await, ids);
}

#[tokio::test]
async fn a_check_mends_what_was_deleted() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let name = shared.topology.work_queue.as_str();
    let options = QueueDeleteOptions::default();
    let deleted = stranger.channel.queue_delete(name.into(), options);
    deleted.await.unwrap();
    assert_eq!(publisher.ready().await.unwrap(), Readiness::Ready);
    let _ = publisher.publish(event("evt_1")).await.unwrap();
    assert_eq!(stranger.ids(name).await, ["evt_1"]);
}

#[tokio::test]
async fn closing_settles_what_was_accepted() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let mut consumer = shared.queue.consumer();
    let publishing = (0..200).map(|number| publisher.publish(event(format!("evt_{number}"))));
    let mut publishing: Vec<_> = publishing.collect();
    for accepted in &mut publishing {
        assert!(futures_util::poll!(accepted).is_pending());
    }
    let Shared { queue, .. } = shared;
    let (results, ()) = tokio::join!(join_all(publishing), queue.close());
    for result in results {
        let _ = result.unwrap();
    }
    assert!(consumer.take(1).await.is_err());
}
