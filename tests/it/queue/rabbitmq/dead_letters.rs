//! What the broker gave up on, and what was never ours.

use bytes::Bytes;
use hookmirror::model::event::{EventId, Trigger};
use hookmirror::model::time::Timestamp;
use hookmirror::queue::{CauseOfDeath, DeadLetter, DeadLetters};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::super::{Engine, PATIENCE, assert_empty, numbers, publish, take};
use super::{Shared, Stranger, connected};
use crate::support::rabbitmq::RabbitMq;

impl Stranger {
    async fn send(&self, exchange: &str, key: &str, properties: BasicProperties, body: &[u8]) {
        let options = BasicPublishOptions::default();
        let sent =
            self.channel
                .basic_publish(exchange.into(), key.into(), options, body, properties);
        sent.await.unwrap().await.unwrap();
    }
}

/// What this program writes, made by hand.
fn properties(received_at: &str, trigger: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    let mut header = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    header("x-hookmirror-received-at", received_at);
    header("x-hookmirror-trigger", trigger);
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id("stripe/evt_1".into())
        .with_type("a.type".into())
        .with_headers(headers)
}

async fn letters(dead: &mut dyn DeadLetters, count: usize) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    while letters.len() < count {
        let taken = tokio::time::timeout(PATIENCE, dead.take(10)).await;
        let batch = taken.expect("letters are there").unwrap();
        letters.extend(batch.letters);
        batch.delivery.ack().await.unwrap();
    }
    letters
}

#[tokio::test]
async fn messages_that_are_none_of_ours_die_and_their_neighbours_do_not() {
    const TIME: &str = "2026-11-21T10:00:00.123Z";
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let exchange = shared.topology.events_exchange.as_str();
    publish(&publisher, [1]).await;
    let foreign = [
        BasicProperties::default(),
        properties(TIME, "webhook").with_message_id("no slash".into()),
        properties(TIME, "webhook").with_type("".into()),
        properties("yesterday", "webhook"),
        properties(TIME, "boredom"),
    ];
    for (number, properties) in foreign.iter().enumerate() {
        let body = format!("foreign {number}");
        let key = "stripe.a.type";
        stranger
            .send(exchange, key, properties.clone(), body.as_bytes())
            .await;
    }
    publish(&publisher, [2]).await;

    let mut consumer = shared.queue.consumer();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let batch = take(&mut consumer, 10).await;
        seen.extend(numbers(&batch));
        batch.delivery.ack().await.unwrap();
    }
    assert_eq!(seen, [1, 2]);
    assert_empty(&publisher, &mut consumer).await;

    let mut letters = letters(&mut shared.queue.dead_letters(), foreign.len()).await;
    letters.sort_by(|one, other| one.event.body.cmp(&other.event.body));
    let expected = [
        ("message_id", EventId::of_body(b"foreign 0"), "unknown", 0),
        ("message_id", EventId::of_body(b"foreign 1"), "a.type", 1),
        ("type", EventId::parse("evt_1").unwrap(), "unknown", 1),
        ("received-at", EventId::parse("evt_1").unwrap(), "a.type", 2),
        ("trigger", EventId::parse("evt_1").unwrap(), "a.type", 1),
    ];
    let received = Timestamp::parse_rfc3339(TIME).unwrap();
    for (letter, (what, id, event_type, time)) in letters.iter().zip(expected) {
        let CauseOfDeath::Unreadable(said) = &letter.cause else {
            panic!("{letter:?}");
        };
        assert!(said.contains(what), "{said}");
        assert_eq!(letter.event.key.source.as_str(), "stripe");
        assert_eq!(letter.event.key.id, id);
        assert_eq!(letter.event.event_type.as_str(), event_type);
        assert_eq!(letter.event.trigger, Trigger::Webhook);
        match time {
            1 => assert_eq!(letter.event.received_at, received),
            // When it died is all that is known.
            _ => assert!(letter.event.received_at > received.min(Timestamp::from_seconds(1))),
        }
    }
}

#[tokio::test]
async fn a_letter_says_where_it_came_from_as_far_as_it_is_known() {
    let shared = Shared::fresh().await;
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let exchange = shared.topology.dead_exchange.as_str();
    let bare = BasicProperties::default().with_timestamp(1_795_000_000);
    stranger
        .send(exchange, "No Such Name.x", bare, b"bare")
        .await;
    stranger
        .send(exchange, "", BasicProperties::default(), b"")
        .await;
    let ours = properties("2026-11-21T10:00:00.000Z", "retry");
    stranger
        .send(exchange, "stripe.a.type", ours, b"ours")
        .await;

    let letters = letters(&mut shared.queue.dead_letters(), 3).await;
    let [bare, empty, ours] = <[_; 3]>::try_from(letters).unwrap();
    assert_eq!(bare.event.key.source.as_str(), "unknown");
    assert_eq!(bare.event.key.id, EventId::of_body(b"bare"));
    assert_eq!(
        bare.event.received_at,
        Timestamp::from_seconds(1_795_000_000)
    );
    assert!(matches!(bare.cause, CauseOfDeath::Unreadable(_)));
    assert_eq!(empty.event.received_at, Timestamp::from_millis(0));
    assert_eq!(empty.event.body, Bytes::new());
    assert_eq!(ours.event.trigger, Trigger::Retry);
    assert!(matches!(ours.cause, CauseOfDeath::Removed(_)), "{ours:?}");
}

#[tokio::test]
async fn a_letter_is_kept_until_it_is_acknowledged() {
    let shared = Shared::fresh().await;
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let exchange = shared.topology.dead_exchange.as_str();
    stranger
        .send(exchange, "x.y", BasicProperties::default(), b"1")
        .await;
    let mut dead = shared.queue.dead_letters();
    for _ in 0..2 {
        let taken = tokio::time::timeout(PATIENCE, dead.take(10)).await;
        let batch = taken.expect("a letter is there").unwrap();
        assert_eq!(batch.letters.len(), 1);
    }
    drop(dead);
    let shared = shared.reopened().await;
    assert_eq!(letters(&mut shared.queue.dead_letters(), 1).await.len(), 1);
    let depth = shared.reopened().await.queue.check().await.unwrap();
    assert_eq!((depth.work, depth.dead), (0, 0));
}
