//! Bodies: whole, in pieces, too large, too slow, cut off, and too many at once.

use std::time::Duration;

use hookmirror::ingress::Limits;
use hookmirror::model::source::Provider;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::door::{
    Door, asking_head, body, body_of, head, limits, post, post_head, refusal, sign, soon,
};
use crate::support::publisher::Behaviour;

/// The head of a webhook whose body comes in chunks.
fn chunked_head(provider: Provider, body: &[u8]) -> Vec<u8> {
    let mut headers = sign(provider, body);
    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    head("POST", &format!("/webhooks/{provider}"), &headers)
}

fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

#[tokio::test]
async fn exactly_the_bytes_that_came_are_kept() {
    let door = Door::open(Behaviour::Accept).await;
    let mut rng = StdRng::seed_from_u64(7);
    let lengths = [0, 1, 4095, 8192, 50_000, limits().max_body_bytes];
    let bodies = lengths.map(|length| {
        let mut body = vec![0; length];
        rng.fill(body.as_mut_slice());
        body
    });
    for body in &bodies {
        let headers = sign(Provider::Stripe, body);
        let answer = door.post(Provider::Stripe, &headers, body).await;
        assert_eq!(answer.status, 202, "{} bytes", body.len());
    }
    // In chunks of every kind of size, the last of one byte.
    for body in &bodies {
        let mut wire = door.connect().await;
        wire.send(&chunked_head(Provider::Stripe, body)).await;
        let (most, last) = body.split_at(body.len().saturating_sub(1));
        for piece in most.chunks(997).chain(last.chunks(1)) {
            wire.send(&chunk(piece)).await;
        }
        wire.send(b"0\r\n\r\n").await;
        assert_eq!(wire.answer().await.status, 202, "{} bytes", body.len());
    }
    let kept: Vec<_> = door
        .publisher
        .events()
        .into_iter()
        .map(|e| e.body)
        .collect();
    assert_eq!(kept, [bodies.clone(), bodies].concat());
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_it_is_sent() {
    let door = Door::open(Behaviour::Accept).await;
    for provider in Provider::ALL {
        for length in [limits().max_body_bytes + 1, usize::MAX / 2] {
            let request = post_head(provider, &sign(provider, b""), length);
            let answer = door.ask(&request).await;
            assert_eq!(answer.refusal(), refusal(413, "body_too_large"));
            assert!(answer.closes());
            // Who asks first is not told to go on.
            let request = asking_head(provider, &sign(provider, b""), length);
            assert_eq!(door.ask(&request).await.status, 413);
        }
    }
    assert_eq!(door.publisher.events(), []);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_refused_once_it_is_too_large() {
    let door = Door::open(Behaviour::Accept).await;
    let piece = chunk(&body_of(16 * 1024));
    let mut wire = door.connect().await;
    wire.send(&chunked_head(Provider::Stripe, b"")).await;
    for _ in 0..5 {
        wire.send(&piece).await;
    }
    // The last chunk never comes.
    let answer = wire.answer().await;
    assert_eq!(answer.refusal(), refusal(413, "body_too_large"));
    assert!(answer.closes());
    assert_eq!(door.publisher.events(), []);
}

#[tokio::test]
async fn who_sends_everything_before_reading_still_gets_the_answer() {
    let door = Door::open(Behaviour::Accept).await;
    let body = body_of(4 * 1024 * 1024);
    for _ in 0..5 {
        let headers = sign(Provider::Stripe, &body);
        let answer = door.post(Provider::Stripe, &headers, &body).await;
        assert_eq!(answer.refusal(), refusal(413, "body_too_large"));
    }
}

#[tokio::test]
async fn a_slow_body_is_cut_however_it_trickles() {
    let door = Door::open_with(
        Behaviour::Accept,
        Limits {
            request_timeout: Duration::from_millis(150),
            ..limits()
        },
    )
    .await;
    let headers = sign(Provider::Clerk, &body());

    let mut silent = door.connect().await;
    silent
        .send(&asking_head(Provider::Clerk, &headers, 1000))
        .await;
    silent.told_to_continue().await;
    let answer = silent.answer().await;
    assert_eq!(answer.refusal(), refusal(408, "request_timeout"));
    assert!(answer.closes());
    assert_eq!(silent.rest().await, b"");

    let mut trickling = door.connect().await;
    trickling
        .send(&post_head(Provider::Clerk, &headers, 60_000))
        .await;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut sent = 0;
    while trickling.try_send(b"x").await.is_ok() {
        sent += 1;
        assert!(sent < 1500, "it is still being listened to");
        pace.tick().await;
    }
    assert_eq!(door.publisher.events(), []);
}

#[tokio::test]
async fn a_body_that_is_not_framed_as_announced_is_refused() {
    let door = Door::open(Behaviour::Accept).await;
    let mut wire = door.connect().await;
    wire.send(&chunked_head(Provider::Stripe, &body())).await;
    wire.send(&chunk(&body())).await;
    wire.send(b"not a length\r\n").await;
    let answer = wire.answer().await;
    assert_eq!(answer.refusal(), refusal(400, "body_unreadable"));
    wire.rest().await;

    // Cut off: nobody is there to be answered, and a part of a body is not a body.
    let headers = sign(Provider::Stripe, &body());
    let mut wire = door.connect().await;
    wire.send(&asking_head(Provider::Stripe, &headers, body().len() + 1))
        .await;
    wire.told_to_continue().await;
    wire.send(&body()).await;
    drop(wire);

    let answer = door.post(Provider::Stripe, &headers, &body()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(door.publisher.events().len(), 1);
}

#[tokio::test]
async fn who_holds_the_budget_for_long_gives_way_and_who_is_whole_does_not() {
    let large = 64 * 1024;
    let door = Door::open_with(
        Behaviour::Accept,
        Limits {
            max_body_bytes: large,
            max_buffered_bytes: large,
            ..limits()
        },
    )
    .await;
    let body = body_of(large);
    let headers = sign(Provider::Stripe, &body);

    // What is only announced costs nothing.
    let mut announced = Vec::new();
    for _ in 0..20 {
        let mut wire = door.connect().await;
        wire.send(&asking_head(Provider::Stripe, &headers, large))
            .await;
        wire.told_to_continue().await;
        announced.push(wire);
    }
    assert_eq!(
        door.post(Provider::Stripe, &headers, &body).await.status,
        202
    );

    // What is here costs. Its sender gives way to one who comes later, and has it here sooner.
    let slow = &mut announced[0];
    slow.send(&body[1..]).await;
    let small = body_of(2);
    let request = post(Provider::Stripe, &sign(Provider::Stripe, &small), &small);
    let refused = loop {
        assert_eq!(door.ask(&request).await.status, 202);
        if let Ok(answer) = tokio::time::timeout(Duration::from_millis(1), slow.answer()).await {
            break answer;
        }
    };
    assert_eq!(refused.refusal(), refusal(503, "too_busy"));
    assert!(refused.headers.contains_key(RETRY_AFTER));

    // And is given back with the answer, a refusal or not.
    assert_eq!(
        door.post(Provider::Stripe, &headers, &body).await.status,
        202
    );
    let forged = door
        .post(Provider::Stripe, &headers, &body_of(large - 1))
        .await;
    assert_eq!(forged.status, 401);
    assert_eq!(
        door.post(Provider::Stripe, &headers, &body).await.status,
        202
    );
}

/// Who holds almost everything is whole and waits for the queue. What is left is not enough for a newcomer,
/// even with all that is still arriving.
#[tokio::test]
async fn nobody_gives_way_in_vain() {
    let kib = 1024;
    let door = Door::open_with(
        Behaviour::Gate,
        Limits {
            max_body_bytes: 64 * kib,
            max_buffered_bytes: 64 * kib,
            ..limits()
        },
    )
    .await;
    let send = |length| {
        let body = body_of(length);
        post(Provider::Stripe, &sign(Provider::Stripe, &body), &body)
    };
    let mut whole = door.connect().await;
    whole.send(&send(60 * kib)).await;
    soon(door.publisher.entered()).await;

    // They came before the slow one: it does not give way to them, so they can tell when it is there.
    let forged = sign(Provider::Stripe, b"");
    let mut earlier = Vec::new();
    for _ in 0..200 {
        let mut wire = door.connect().await;
        let asking = asking_head(Provider::Stripe, &forged, 3 * kib);
        wire.send(&asking).await;
        wire.told_to_continue().await;
        earlier.push(wire);
    }
    let slow_body = body_of(2 * kib);
    let headers = sign(Provider::Stripe, &slow_body);
    let mut slow = door.connect().await;
    slow.send(&asking_head(Provider::Stripe, &headers, slow_body.len()))
        .await;
    slow.told_to_continue().await;
    slow.send(&slow_body[1..]).await;
    for mut wire in earlier {
        wire.send(&body_of(3 * kib)).await;
        if wire.answer().await.status == 503 {
            break;
        }
    }

    let newcomer = door.ask(&send(6 * kib)).await;
    assert_eq!(newcomer.refusal(), refusal(503, "too_busy"));
    slow.send(&slow_body[..1]).await;
    soon(door.publisher.entered()).await;
    for mut wire in [whole, slow] {
        door.publisher.open_gate();
        door.publisher.open_gate();
        assert_eq!(wire.answer().await.status, 202);
    }
}

#[tokio::test]
async fn whoever_hangs_up_gives_the_budget_back() {
    let large = 64 * 1024;
    let door = Door::open_with(
        Behaviour::Hang,
        Limits {
            max_body_bytes: large,
            max_buffered_bytes: large,
            ..limits()
        },
    )
    .await;
    let body = body_of(large);
    let request = post(Provider::Stripe, &sign(Provider::Stripe, &body), &body);
    let mut wire = door.connect().await;
    wire.send(&request).await;
    soon(door.publisher.entered()).await;
    assert_eq!(door.ask(&request).await.code(), "too_busy");

    door.publisher.become_(Behaviour::Accept);
    drop(wire);
    soon(async { while door.ask(&request).await.status != 202 {} }).await;
}
