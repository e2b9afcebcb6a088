//! Who has to leave when all seats are taken, and what that must not cost. Nobody here waits for a clock.

use std::future::pending;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use hookmirror::ingress::Limits;
use hookmirror::model::source::Provider;
use http::HeaderMap;
use tokio::task::yield_now;
use tokio::time::{Instant, advance};

use super::door::{Door, asking_head, body, head, limits, post, post_head, sign, soon};
use crate::support::publisher::Behaviour;

/// Longer than the shortest wait, shorter than a connection lingers.
const FOR_LONG: Duration = Duration::from_millis(300);

async fn with_one_seat(behaviour: Behaviour) -> Door {
    let max_connections = 1;
    Door::open_with(
        behaviour,
        Limits {
            max_connections,
            ..limits()
        },
    )
    .await
}

fn request() -> Vec<u8> {
    post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body())
}

/// Tokio's time, which passes only when it is told to.
struct Clock(#[expect(dead_code, reason = "it stands still until this is dropped")] Sender<()>);

impl Clock {
    fn stopped() -> Self {
        tokio::time::pause();
        let (stopped, until) = channel();
        // Paused time runs to the next timer whenever all tasks wait, unless somebody works elsewhere. Not
        // for ever, so that a test that waits in vain fails.
        tokio::task::spawn_blocking(move || until.recv_timeout(Duration::from_secs(20)));
        Self(stopped)
    }

    /// Lets everybody begin to wait, and everybody see that it was for long.
    async fn pass(&self) {
        self.settle().await;
        advance(FOR_LONG).await;
        self.settle().await;
    }

    async fn settle(&self) {
        for _ in 0..20 {
            yield_now().await;
        }
    }
}

#[tokio::test]
async fn nobody_has_to_leave_while_nobody_else_comes() {
    let clock = Clock::stopped();
    let door = with_one_seat(Behaviour::Accept).await;
    let headers = sign(Provider::Clerk, &body());
    let mut wire = door.connect().await;
    for _ in 0..3 {
        clock.pass().await;
        wire.send(&asking_head(Provider::Clerk, &headers, body().len()))
            .await;
        wire.told_to_continue().await;
        wire.send(&body()[..10]).await;
        clock.pass().await;
        wire.send(&body()[10..]).await;
        assert_eq!(wire.answer().await.status, 202);
    }
}

/// The request and the newcomer are there in the same moment, and the acceptor sees the newcomer first.
#[tokio::test]
async fn who_has_to_leave_hands_nothing_on() {
    let clock = Clock::stopped();
    let door = with_one_seat(Behaviour::Gate).await;
    let mut closed = 0;
    for _ in 0..20 {
        let before = door.publisher.events().len();
        let mut idle = door.connect().await;
        idle.send(&head("GET", "/livez", &HeaderMap::new())).await;
        assert_eq!(idle.answer().await.status, 200);
        clock.pass().await;

        // Neither lets anything else run in between.
        let newcomer = std::net::TcpStream::connect(door.address).unwrap();
        idle.send(&request()).await;
        let the_queue = async {
            door.publisher.entered().await;
            door.publisher.open_gate();
            pending().await
        };
        let answer = tokio::select! {
            answer = idle.rest() => answer,
            () = the_queue => unreachable!("it is pending"),
        };
        let taken = door.publisher.events().len() - before;
        let answered = answer.starts_with(b"HTTP/1.1 202 ");
        assert_eq!(taken, usize::from(answered), "{answer:?}");
        closed += usize::from(!answered);
        drop(newcomer);
    }
    assert!(closed > 0, "nobody had to leave");
}

#[tokio::test]
async fn who_was_answered_and_goes_on_sending_leaves_its_seat() {
    let clock = Clock::stopped();
    let door = with_one_seat(Behaviour::Accept).await;
    let mut refused = door.connect().await;
    let too_large = post_head(Provider::Clerk, &sign(Provider::Clerk, b""), 1 << 40);
    refused.send(&too_large).await;
    let answer = refused.answer().await;
    assert!(answer.status == 413 && answer.closes(), "{answer:?}");
    clock.pass().await;

    let begun = Instant::now();
    assert_eq!(soon(door.ask(&request())).await.status, 202);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(refused);
}
