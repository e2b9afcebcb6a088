//! A wire to RabbitMQ that is cut at every frame: what was confirmed is handed out in the end.

use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::model::event::{Event, EventId, EventKey};
use hookmirror::queue::rabbitmq::{RabbitPublisher, RabbitQueue, Settings};
use hookmirror::queue::{Consumer, Publisher};

use crate::support::given::event;
use crate::support::rabbitmq::{RabbitMq, topology};
use crate::support::wire::{Break, Language, Wire};

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(20),
    seed: 1,
};
/// Long enough for two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// Fewer frames than it takes to publish and to take.
const FEWEST: usize = 30;

/// Publishes until the broker confirms, as a provider makes ingress do.
async fn publish(publisher: &RabbitPublisher, event: &Event) {
    while publisher.publish(event.clone()).await.is_err() {
        publisher.connected().await;
    }
}

/// Takes and acknowledges until this one has come.
async fn take(consumer: &mut dyn Consumer, wanted: &EventKey) {
    loop {
        let Ok(batch) = consumer.take(100).await else {
            continue;
        };
        let has_come = batch.events.iter().any(|event| event.key == *wanted);
        // What could not be acknowledged comes again.
        let _ = batch.delivery.ack().await;
        if has_come {
            return;
        }
    }
}

#[tokio::test]
async fn nothing_that_was_confirmed_is_lost_at_any_frame() {
    let broker = RabbitMq::shared();
    let topology = topology();
    let queue =
        |url| RabbitQueue::new(&url, topology.clone(), Settings::default(), BACKOFF).unwrap();
    for is_heard in [false, true] {
        for unit in 1.. {
            let at = Break { unit, is_heard };
            let wire = Wire::to(broker.address(), Language::Amqp, Some(at)).await;
            let cut_off = queue(broker.url_through(wire.port()));
            let event = Event {
                key: EventKey {
                    // What is left of earlier runs is another.
                    id: EventId::parse(&format!("evt_{is_heard}_{unit}")).unwrap(),
                    ..event("evt_1", "a.type").key
                },
                ..event("evt_1", "a.type")
            };
            let play = async {
                publish(&cut_off.publisher(), &event).await;
                take(&mut cut_off.consumer(), &event.key).await;
                cut_off.close().await;
            };
            let played = tokio::time::timeout(PATIENCE, play).await;
            assert!(played.is_ok(), "frame {unit}, heard: {is_heard}");
            if !wire.has_broken().await {
                assert!(unit > FEWEST, "only {} frames", wire.units());
                break;
            }
        }
    }
}
