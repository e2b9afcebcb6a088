//! From the spool to the broker.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::poll;
use hookmirror::backoff::Backoff;
use hookmirror::model::event::Event;
use hookmirror::queue::spool::Relay;
use hookmirror::queue::{Confirmed, PublishError, Publisher, Readiness};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Bench, PATIENCE, number, publish};
use crate::queue::embedded::{execute, stranger};
use crate::queue::set;
use crate::support::publisher::Behaviour;

impl Bench {
    fn relay_to(&self, broker: Arc<dyn Publisher>) -> Relay {
        Relay {
            spool: Box::new(self.queue.consumer()),
            broker,
            backoff: Backoff {
                first: Duration::from_millis(1),
                longest: Duration::from_millis(20),
                seed: 1,
            },
        }
    }

    fn relay(&self) -> Relay {
        self.relay_to(Arc::clone(&self.broker) as Arc<dyn Publisher>)
    }

    async fn until_spooled(&self, messages: u64) {
        let waiting = async {
            while self.spooled() != messages {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }
}

fn start(relay: Relay) -> (JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    (tokio::spawn(relay.run(stop.clone())), stop)
}

async fn end((run, stop): (JoinHandle<()>, CancellationToken)) {
    stop.cancel();
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_spooled_reaches_the_broker_in_order_over_failures_and_restarts() {
    let bench = Bench::new(Behaviour::Fail).await;
    publish(&bench.publisher(super::PLENTY), 0..250).await;
    let relay = start(bench.relay());
    // Those that were published, and several attempts in vain.
    for _ in 0..250 + 5 {
        bench.broker.entered().await;
    }
    end(relay).await;
    let bench = bench.killed().await;
    assert_eq!(bench.spooled(), 250, "nothing is removed unconfirmed");

    let tried = bench.at_broker().len();
    bench.broker.become_(Behaviour::Accept);
    let relay = start(bench.relay());
    bench.until_spooled(0).await;
    end(relay).await;
    assert_eq!(bench.at_broker()[tried..], Vec::from_iter(0..250));
}

/// Dropped at any moment: what the broker confirmed may reach it again, what it did not is still in
/// the spool.
#[tokio::test]
async fn a_relay_that_ends_anywhere_loses_nothing() {
    let bench = Bench::new(Behaviour::Accept).await;
    for steps in 0..60 {
        publish(
            &bench.queue.publisher(),
            [3 * steps, 3 * steps + 1, 3 * steps + 2],
        )
        .await;
        let stop = CancellationToken::new();
        let mut run = Box::pin(bench.relay().run(stop));
        for _ in 0..steps {
            assert!(poll!(&mut run).is_pending());
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
    }
    let relay = start(bench.relay());
    bench.until_spooled(0).await;
    end(relay).await;
    assert_eq!(set(bench.at_broker()), set(0..180));
}

#[tokio::test]
async fn what_is_confirmed_and_not_removed_is_relayed_again() {
    let bench = Bench::new(Behaviour::Accept).await;
    publish(&bench.queue.publisher(), 0..3).await;
    let mut stranger = stranger(bench.directory.path()).await;
    execute(
        &mut stranger,
        "CREATE TRIGGER stuck BEFORE DELETE ON messages \
         BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END",
    )
    .await;
    let relay = start(bench.relay());
    for _ in 0..3 {
        bench.broker.entered().await;
    }
    end(relay).await;
    let bench = bench.killed().await;
    assert_eq!(bench.spooled(), 3);

    execute(&mut stranger, "DROP TRIGGER stuck").await;
    let before = bench.at_broker().len();
    let relay = start(bench.relay());
    bench.until_spooled(0).await;
    end(relay).await;
    assert_eq!(bench.at_broker()[before..], [0, 1, 2]);
}

#[tokio::test]
async fn the_batch_in_hand_is_finished_after_the_end_was_asked_for() {
    let bench = Bench::new(Behaviour::Gate).await;
    publish(&bench.queue.publisher(), 0..3).await;
    let (run, stop) = start(bench.relay());
    bench.broker.entered().await;
    stop.cancel();
    for _ in 0..3 {
        bench.broker.open_gate();
    }
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
    assert_eq!((bench.at_broker(), bench.spooled()), (vec![0, 1, 2], 0));
}

#[tokio::test]
async fn a_broker_that_does_not_answer_does_not_keep_it_from_ending() {
    let bench = Bench::new(Behaviour::Hang).await;
    publish(&bench.queue.publisher(), 0..3).await;
    let relay = start(bench.relay());
    bench.broker.entered().await;
    end(relay).await;
    assert_eq!(bench.spooled(), 3);
}

#[tokio::test]
async fn a_broker_that_is_away_is_asked_now_and_then() {
    let bench = Bench::new(Behaviour::Fail).await;
    publish(&bench.queue.publisher(), 0..3).await;
    let mut relay = bench.relay();
    relay.backoff.first = Duration::from_millis(20);
    let relay = start(relay);
    tokio::time::sleep(Duration::from_millis(200)).await;
    end(relay).await;
    // The first wait and each that follows is 20 ms at least.
    let asked = bench.at_broker().len();
    assert!((2..=11).contains(&asked), "{asked} times in 200 ms");
}

/// Takes all events but some, as a broker does for which they are too large.
#[derive(Debug)]
struct Choosy {
    refused: BTreeSet<u32>,
    taken: Mutex<Vec<u32>>,
}

#[async_trait]
impl Publisher for Choosy {
    async fn publish(&self, event: Event) -> Result<Confirmed, PublishError> {
        let number = number(&event);
        if self.refused.contains(&number) {
            return Err(PublishError(io::Error::other("too large").into()));
        }
        self.taken.lock().unwrap().push(number);
        Ok(Confirmed::by_stable_storage())
    }

    async fn ready(&self) -> Result<Readiness, PublishError> {
        Ok(Readiness::Ready)
    }
}

#[tokio::test]
async fn an_event_that_the_broker_refuses_stops_nobody_and_stays() {
    let bench = Bench::new(Behaviour::Accept).await;
    publish(&bench.queue.publisher(), 0..250).await;
    let broker = Arc::new(Choosy {
        refused: set([0, 13, 14, 249]),
        taken: Mutex::default(),
    });
    let relay = start(bench.relay_to(Arc::clone(&broker) as Arc<dyn Publisher>));
    bench.until_spooled(4).await;
    end(relay).await;
    let taken = set(broker.taken.lock().unwrap().iter().copied());
    assert_eq!(taken.len(), 246);
    let left = super::drain(&mut bench.queue.consumer(), 4).await;
    assert_eq!(left, [0, 13, 14, 249], "and comes back to the spool");
}
