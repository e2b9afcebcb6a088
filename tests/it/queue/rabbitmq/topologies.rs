//! What is declared, and what is said when the broker has something else.

use hookmirror::error_chain::ErrorChain;
use hookmirror::queue::Publisher;
use hookmirror::queue::rabbitmq::{RabbitError, Topology};
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use super::super::{Engine, event};
use super::{SETTINGS, Shared, Stranger, connected, queue};
use crate::support::rabbitmq::{RabbitMq, topology};

#[test]
fn the_definitions_are_the_contract() {
    let definitions = serde_json::to_value(Topology::default().definitions()).unwrap();
    let work = &definitions["queues"][1];
    assert_eq!(
        *work,
        serde_json::json!({
            "name": "hookmirror.work",
            "durable": true,
            "auto_delete": false,
            "arguments": {
                "x-queue-type": "quorum",
                "x-delivery-limit": 20,
                "x-dead-letter-exchange": "hookmirror.dead",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        })
    );
    assert_eq!(definitions["exchanges"][1]["name"], "hookmirror.events");
    assert_eq!(definitions["exchanges"][1]["type"], "topic");
    assert_eq!(definitions["bindings"][1]["routing_key"], "#");
}

#[tokio::test]
async fn a_check_answers_what_waits() {
    let shared = Shared::fresh().await;
    let publisher = connected(&shared.queue).await;
    for _ in 0..3 {
        let _ = publisher.publish(event("evt_1")).await.unwrap();
    }
    let depth = shared.queue.check().await.unwrap();
    assert_eq!((depth.work, depth.dead), (3, 0));
}

#[tokio::test]
async fn a_queue_with_another_limit_is_named_with_both_values() {
    let topology = topology();
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", topology.dead_exchange.as_str()),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(5));
    let name = topology.work_queue.as_str();
    stranger
        .channel
        .queue_declare(name.into(), QueueDeclareOptions::durable(), arguments)
        .await
        .unwrap();
    let queue = queue(&RabbitMq::shared().url(), &topology, SETTINGS);
    let error = queue.check().await.unwrap_err();
    assert!(error.is_lasting());
    let RabbitError::Mismatch {
        thing,
        argument,
        found,
        wanted,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(thing.contains(name), "{thing}");
    assert_eq!(argument, "x-delivery-limit");
    assert_eq!((found.as_str(), wanted.as_str()), ("5", "20"));
}

#[tokio::test]
async fn an_exchange_of_another_type_is_named() {
    let topology = topology();
    let stranger = Stranger::new(RabbitMq::shared()).await;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = topology.events_exchange.as_str();
    let declared = stranger.channel.exchange_declare(
        name.into(),
        ExchangeKind::Direct,
        options,
        FieldTable::default(),
    );
    declared.await.unwrap();
    let queue = queue(&RabbitMq::shared().url(), &topology, SETTINGS);
    let error = queue.check().await.unwrap_err();
    let RabbitError::Mismatch {
        thing,
        argument,
        found,
        wanted,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(thing.contains(name), "{thing}");
    let said = (argument.as_str(), found.as_str(), wanted.as_str());
    assert_eq!(said, ("type", "direct", "topic"));
}

#[tokio::test]
async fn who_may_not_enter_is_told_why_and_no_password() {
    let broker = RabbitMq::shared();
    let topology = topology();
    let check = async |user: &str, vhost: &str| {
        let queue = queue(&broker.url_of(user, vhost), &topology, SETTINGS);
        let debug = format!("{queue:?}");
        let error = queue.check().await.unwrap_err();
        let said = format!("{debug} {error:?} {}", ErrorChain(&error));
        assert!(!said.contains("open-sesame"), "{said}");
        assert!(error.is_lasting(), "{said}");
        error
    };
    let error = check("guest:open-sesame", "%2f").await;
    assert!(matches!(error, RabbitError::Credentials(_)), "{error:?}");
    let error = check("guest:guest", "nowhere").await;
    assert!(
        matches!(&error, RabbitError::VirtualHost { name, .. } if name == "nowhere"),
        "{error:?}"
    );

    let user = topology.work_queue.as_str();
    broker.control(&["add_user", user, "open-sesame"]).await;
    let error = check(&format!("{user}:open-sesame"), "%2f").await;
    assert!(
        matches!(error, RabbitError::VirtualHost { .. }),
        "{error:?}"
    );
    broker
        .control(&["set_permissions", user, "^nothing$", ".*", ".*"])
        .await;
    let error = check(&format!("{user}:open-sesame"), "%2f").await;
    assert!(
        matches!(error, RabbitError::AccessRefused { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(user), "{error}");
    broker.control(&["delete_user", user]).await;
}

#[test]
fn a_url_that_cannot_be_read_is_not_repeated() {
    let url = "amqp://user:open-sesame@host:port/".to_owned().into();
    let backoff = super::BACKOFF;
    let made =
        hookmirror::queue::rabbitmq::RabbitQueue::new(&url, Topology::default(), SETTINGS, backoff);
    let error = made.unwrap_err();
    let said = format!("{error:?} {}", ErrorChain(&error));
    assert!(!said.contains("open-sesame"), "{said}");
    assert!(error.is_lasting());
}
