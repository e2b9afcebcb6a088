//! The end: what is in flight is finished, what is idle is closed, what hangs is cut.

use std::time::Duration;

use hookmirror::ingress::Limits;
use hookmirror::model::source::Provider;
use http::HeaderMap;
use tokio::net::TcpStream;

use super::door::{Door, body, head, limits, post, sign, soon};
use crate::support::publisher::Behaviour;

fn request() -> Vec<u8> {
    post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body())
}

#[tokio::test]
async fn a_request_in_flight_is_finished_and_no_new_one_is_taken() {
    let door = Door::open(Behaviour::Gate).await;
    let mut wire = door.connect().await;
    wire.send(&request()).await;
    soon(door.publisher.entered()).await;

    door.shutdown.cancel();
    soon(async { while TcpStream::connect(door.address).await.is_ok() {} }).await;
    door.publisher.open_gate();
    let answer = wire.answer().await;
    assert_eq!(answer.status, 202);
    assert!(answer.closes(), "{answer:?}");
    drop(wire);
    assert_eq!(soon(door.served).await.unwrap(), 0);
    assert_eq!(door.publisher.events().len(), 1);
}

#[tokio::test]
async fn idle_connections_do_not_delay_it() {
    let door = Door::open(Behaviour::Accept).await;
    let silent = door.connect().await;
    let mut idle = door.connect().await;
    idle.send(&head("GET", "/livez", &HeaderMap::new())).await;
    assert_eq!(idle.answer().await.status, 200);

    door.shutdown.cancel();
    assert_eq!(idle.rest().await, b"");
    assert_eq!(silent.rest().await, b"");
    assert_eq!(soon(door.served).await.unwrap(), 0);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let door = Door::open_with(
        Behaviour::Hang,
        Limits {
            shutdown_grace: Duration::from_millis(100),
            ..limits()
        },
    )
    .await;
    let mut wire = door.connect().await;
    wire.send(&request()).await;
    soon(door.publisher.entered()).await;
    door.shutdown.cancel();
    assert_eq!(soon(door.served).await.unwrap(), 1);
    assert_eq!(wire.rest().await, b"");
}
