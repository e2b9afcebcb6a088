//! Peers that hold on to what they got.

use std::time::Duration;

use hookmirror::ingress::Limits;
use hookmirror::model::source::Provider;
use http::HeaderMap;

use super::door::{Door, body, head, limits, post, sign, soon};
use crate::support::publisher::Behaviour;

#[tokio::test]
async fn headers_that_trickle_are_cut() {
    let door = Door::open_with(
        Behaviour::Accept,
        Limits {
            header_timeout: Duration::from_millis(150),
            ..limits()
        },
    )
    .await;
    let mut wire = door.connect().await;
    wire.send(b"POST /webhooks/clerk HTTP/1.1\r\nx: ").await;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut sent = 0;
    while wire.try_send(b"x").await.is_ok() {
        sent += 1;
        assert!(sent < 1500, "it is still being listened to");
        pace.tick().await;
    }

    // Nor is anyone waited for who says nothing at all.
    assert_eq!(door.connect().await.rest().await, b"");
}

#[tokio::test]
async fn headers_without_end_are_cut() {
    let door = Door::open(Behaviour::Accept).await;
    let mut wire = door.connect().await;
    wire.send(b"POST /webhooks/clerk HTTP/1.1\r\nx: ").await;
    let piece = [b'x'; 16 * 1024];
    for _ in 0..5 {
        wire.send(&piece).await;
    }
    wire.send(b"\r\n\r\n").await;
    assert!(wire.rest().await.starts_with(b"HTTP/1.1 431 "));

    // Who goes on regardless is not listened to for long.
    let mut wire = door.connect().await;
    wire.send(b"POST /webhooks/clerk HTTP/1.1\r\nx: ").await;
    let mut sent = 0;
    while wire.try_send(&piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 100_000_000, "it is still being listened to");
    }
    assert_eq!(door.get("/livez").await.status, 200);
}

#[tokio::test]
async fn idle_connections_give_way() {
    let door = Door::open_with(
        Behaviour::Accept,
        Limits {
            max_connections: 2,
            header_timeout: Duration::from_millis(150),
            ..limits()
        },
    )
    .await;
    // One that never asks, and one that asked once and stays.
    let silent = door.connect().await;
    let mut idle = door.connect().await;
    idle.send(&head("GET", "/livez", &HeaderMap::new())).await;
    assert_eq!(idle.answer().await.status, 200);

    let request = post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body());
    for _ in 0..3 {
        assert_eq!(door.ask(&request).await.status, 202);
    }
    drop((silent, idle));
}

/// Who says nothing, who sends headers and who sends a body byte by byte, all within the limits of time.
#[tokio::test]
async fn who_keeps_us_waiting_gives_way_when_all_seats_are_taken() {
    let door = Door::open_with(
        Behaviour::Gate,
        Limits {
            max_connections: 4,
            header_timeout: Duration::from_secs(600),
            request_timeout: Duration::from_secs(600),
            confirm_timeout: Duration::from_secs(600),
            ..limits()
        },
    )
    .await;
    let request = post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body());
    // Its request is complete: it keeps its seat, however long the queue takes.
    let mut patient = door.connect().await;
    patient.send(&request).await;
    soon(door.publisher.entered()).await;
    let silent = door.connect().await;
    let mut slow_head = door.connect().await;
    slow_head.send(&request[..10]).await;
    let mut slow_body = door.connect().await;
    slow_body.send(&request[..request.len() - 1]).await;

    let mut honest = Vec::new();
    for _ in 0..3 {
        let mut wire = door.connect().await;
        wire.send(&request).await;
        soon(door.publisher.entered()).await;
        honest.push(wire);
    }
    for _ in 0..4 {
        door.publisher.open_gate();
    }
    assert_eq!(patient.answer().await.status, 202);
    for mut wire in honest {
        assert_eq!(wire.answer().await.status, 202);
    }
    for shed in [silent, slow_head, slow_body] {
        assert_eq!(shed.rest().await, b"");
    }
}

#[tokio::test]
async fn no_more_connections_are_served_than_the_limit_says() {
    let door = Door::open_with(
        Behaviour::Gate,
        Limits {
            max_connections: 1,
            ..limits()
        },
    )
    .await;
    let request = post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body());
    let mut first = door.connect().await;
    first.send(&request).await;
    soon(door.publisher.entered()).await;
    let mut second = door.connect().await;
    second.send(&request).await;

    // As long as the first is at work, the second does not get through to the queue.
    assert!(
        tokio::time::timeout(Duration::from_millis(100), door.publisher.entered())
            .await
            .is_err()
    );
    door.publisher.open_gate();
    assert_eq!(first.answer().await.status, 202);
    drop(first);
    soon(door.publisher.entered()).await;
    door.publisher.open_gate();
    assert_eq!(second.answer().await.status, 202);
}

#[tokio::test]
async fn who_asks_and_never_listens_is_cut() {
    let door = Door::open_with(
        Behaviour::Accept,
        Limits {
            // Enough to fill all buffers on the way back before it is over.
            connection_age: Duration::from_secs(1),
            header_timeout: Duration::from_millis(100),
            request_timeout: Duration::from_millis(100),
            confirm_timeout: Duration::from_millis(100),
            ..limits()
        },
    )
    .await;
    let mut wire = door.connect().await;
    let requests = head("GET", "/livez", &HeaderMap::new()).repeat(1000);
    // Ends with an error once the server has hung up; fails for want of patience if it never does.
    while wire.try_send(&requests).await.is_ok() {}
}

#[tokio::test]
async fn an_old_connection_is_closed_between_requests() {
    let door = Door::open_with(
        Behaviour::Gate,
        Limits {
            connection_age: Duration::from_millis(50),
            ..limits()
        },
    )
    .await;
    let request = post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body());
    let mut wire = door.connect().await;
    wire.send(&request).await;
    soon(door.publisher.entered()).await;
    // A younger connection that reaches the age tells that the older one has.
    assert_eq!(door.connect().await.rest().await, b"");
    door.publisher.open_gate();
    let answer = wire.answer().await;
    assert_eq!(answer.status, 202);
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn what_is_not_http_harms_nobody() {
    let door = Door::open(Behaviour::Accept).await;
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n\0\0\0\0\r\n\r\n",
        b"POST /webhooks/clerk HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST /webhooks/clerk HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    ] {
        let mut wire = door.connect().await;
        wire.send(garbage).await;
        let answer = wire.rest().await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{garbage:?}");
    }
    assert_eq!(door.get("/livez").await.status, 200);
    assert_eq!(door.publisher.events(), []);
}
