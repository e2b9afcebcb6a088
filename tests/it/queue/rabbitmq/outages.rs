//! A broker that dies, hangs, or runs short of memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hookmirror::queue::Publisher;
use hookmirror::queue::rabbitmq::{PublishFailure, RabbitError, Settings};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::super::{PATIENCE, event, number, publish};
use super::{SETTINGS, connected, drain_patiently, failure, publish_patiently, queue};
use crate::support::rabbitmq::{RabbitMq, topology};

#[tokio::test]
async fn every_event_confirmed_before_the_broker_was_killed_is_there_after() {
    let broker = RabbitMq::start();
    let queue = queue(&broker.url(), &topology(), SETTINGS);
    let publisher = connected(&queue).await;
    let mut consumer = queue.consumer();
    publish(&publisher, [0]).await;
    assert_eq!(drain_patiently(&mut consumer, 1).await, [0]);
    broker.write_down_queues().await;

    let mut publishing: FuturesUnordered<_> = (1..=200)
        .map(|id| {
            let publisher = &publisher;
            async move {
                let event = event(format!("evt_{id}"));
                (number(&event), publisher.publish(event).await.is_ok())
            }
        })
        .collect();
    let mut confirmed = BTreeSet::new();
    let mut failed = 0;
    while let Some((number, ok)) = publishing.next().await {
        if ok {
            confirmed.insert(number);
        } else {
            failed += 1;
        }
        if confirmed.len() == 40 && failed == 0 {
            broker.kill();
        }
    }
    assert!(confirmed.len() >= 40, "{confirmed:?}");
    let error = publisher.publish(event("evt_999")).await.unwrap_err();
    assert!(
        matches!(
            failure(&error),
            PublishFailure::NotConnected(_) | PublishFailure::Lost(_)
        ),
        "{error:?}"
    );

    broker.restart().await;
    publish_patiently(&publisher, "evt_1000").await;
    let mut seen = BTreeSet::new();
    let draining = async {
        while !(confirmed.is_subset(&seen) && seen.contains(&1000)) {
            seen.extend(drain_patiently(&mut consumer, 1).await);
        }
    };
    let drained = tokio::time::timeout(3 * PATIENCE, draining).await;
    drained.expect("every confirmed event is there");
}

#[tokio::test]
async fn an_alarm_and_a_broker_that_hangs_fail_events_in_time_and_pass() {
    let broker = RabbitMq::start();
    let settings = Settings {
        confirm_timeout: Duration::from_millis(1500),
        answer_timeout: Duration::from_secs(2),
        ..SETTINGS
    };
    let queue = queue(&broker.url(), &topology(), settings);
    let publisher = connected(&queue).await;
    let mut consumer = queue.consumer();
    publish(&publisher, [0]).await;

    broker.set_alarm(true).await;
    let began = Instant::now();
    let error = publisher.publish(event("evt_1")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{error:?}");
    assert!(
        matches!(failure(&error), PublishFailure::Blocked),
        "{error:?}"
    );
    let error = publisher.publish(event("evt_2")).await.unwrap_err();
    assert!(
        matches!(failure(&error), PublishFailure::Blocked),
        "{error:?}"
    );
    assert!(publisher.ready().await.is_err());
    // What is there is handed out all the same: it is another connection.
    assert_eq!(drain_patiently(&mut consumer, 1).await, [0]);
    broker.set_alarm(false).await;
    publish_patiently(&publisher, "evt_3").await;

    broker.pause();
    let began = Instant::now();
    let error = publisher.publish(event("evt_4")).await.unwrap_err();
    assert!(
        matches!(failure(&error), PublishFailure::TimedOut(_)),
        "{error:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(3));
    let error = queue.check().await.unwrap_err();
    assert!(matches!(error, RabbitError::TimedOut { .. }), "{error:?}");
    broker.resume();
    publish_patiently(&publisher, "evt_5").await;
    let mut seen = BTreeSet::new();
    while !(seen.contains(&3) && seen.contains(&5)) {
        seen.extend(drain_patiently(&mut consumer, 1).await);
    }
}

/// A host that answers nobody, or vanishes without a word: nothing is left of the attempts, not even a
/// connection, and the first one that is answered gets through.
#[tokio::test]
async fn attempts_to_connect_that_nobody_answers_are_ended() {
    const SILENT: usize = 12;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = RabbitMq::shared().url_through(listener.local_addr().unwrap().port());
    let server = RabbitMq::shared().address();
    let ended = Arc::new(Semaphore::new(0));
    let seen = Arc::clone(&ended);
    tokio::spawn(async move {
        for _ in 0..SILENT {
            let (mut client, _) = listener.accept().await.unwrap();
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                tokio::io::copy(&mut client, &mut tokio::io::sink())
                    .await
                    .unwrap();
                seen.add_permits(1);
            });
        }
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let settings = Settings {
        answer_timeout: Duration::from_millis(200),
        ..SETTINGS
    };
    let queue = queue(&url, &topology(), settings);
    // The publisher tries as well, and takes its share of the silence.
    let trying = async {
        while let Err(error) = queue.check().await {
            assert!(matches!(error, RabbitError::TimedOut { .. }), "{error:?}");
        }
    };
    let tried = tokio::time::timeout(PATIENCE, trying).await;
    tried.expect("the first that is answered gets through");
    let all = ended.acquire_many(u32::try_from(SILENT).unwrap());
    let all = tokio::time::timeout(PATIENCE, all).await;
    all.expect("every attempt is ended").unwrap().forget();
}
