//! A broker that dies, hangs, or runs short of memory.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hookmirror::queue::Publisher;
use hookmirror::queue::rabbitmq::{PublishFailure, RabbitError, Settings};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

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

/// A host that vanishes while it answers nobody leaves connections behind that never end.
#[tokio::test]
async fn attempts_to_connect_that_never_end_do_not_keep_later_ones_away() {
    const HUNG: usize = 4;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = RabbitMq::shared().url_through(listener.local_addr().unwrap().port());
    let server = RabbitMq::shared().address();
    let (all_hang, hanging) = oneshot::channel();
    tokio::spawn(async move {
        let mut hung = Vec::new();
        while hung.len() < HUNG {
            hung.push(listener.accept().await.unwrap().0);
        }
        all_hang.send(()).unwrap();
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
    for _ in 0..HUNG {
        queue.check().await.unwrap_err();
    }
    hanging.await.unwrap();
    let trying = async { while queue.check().await.is_err() {} };
    let tried = tokio::time::timeout(PATIENCE, trying).await;
    tried.expect("a later attempt gets through");
}
