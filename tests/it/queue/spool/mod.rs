//! Events while the broker is away, slow, or back: the broker is a fake, the spool a real queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmirror::clock::Clock;
use hookmirror::error_chain::ErrorChain;
use hookmirror::queue::embedded::{EmbeddedQueue, OpenError, inspect};
use hookmirror::queue::spool::SpoolingPublisher;
use hookmirror::queue::{Publisher, Readiness};
use tempfile::TempDir;

use super::embedded::{execute, stranger};
use super::{PATIENCE, drain, event, number, publish};
use crate::support::clock::ManualClock;
use crate::support::directory::directory;
use crate::support::given::at;
use crate::support::publisher::{Behaviour, RecordingPublisher};

mod relay;

const PLENTY: u64 = 1024 * 1024;
/// How long an event waits for a broker that answers.
const LONG: Duration = Duration::from_secs(10);
/// And for one that does not.
const SHORT: Duration = Duration::from_millis(50);
/// How long none does, after one did in vain.
const PAUSE: Duration = Duration::from_secs(5);

/// A broker that does as it is told, and a spool.
struct Bench {
    broker: Arc<RecordingPublisher>,
    queue: EmbeddedQueue,
    clock: Arc<ManualClock>,
    directory: TempDir,
}

impl Bench {
    async fn new(behaviour: Behaviour) -> Self {
        let directory = directory();
        Self {
            broker: Arc::new(RecordingPublisher::new(behaviour)),
            queue: EmbeddedQueue::open_as_spool(directory.path())
                .await
                .unwrap(),
            clock: Arc::new(ManualClock::new(at(0))),
            directory,
        }
    }

    fn publisher(&self, limit: u64) -> SpoolingPublisher {
        self.waiting(LONG, limit)
    }

    fn waiting(&self, patience: Duration, limit: u64) -> SpoolingPublisher {
        let broker = Arc::clone(&self.broker) as Arc<dyn Publisher>;
        let spool = self.queue.publisher();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        SpoolingPublisher::new(broker, spool, limit, patience, clock)
    }

    /// What the broker was given, in order.
    fn at_broker(&self) -> Vec<u32> {
        self.broker.events().iter().map(number).collect()
    }

    fn spooled(&self) -> u64 {
        self.queue.depth().messages
    }

    /// The same spool after the death of the process.
    async fn killed(self) -> Self {
        drop(self.queue);
        let begun = Instant::now();
        let queue = loop {
            match EmbeddedQueue::open_as_spool(self.directory.path()).await {
                Err(OpenError::InUse { .. }) if begun.elapsed() < PATIENCE => {
                    tokio::task::yield_now().await;
                }
                opened => break opened.unwrap(),
            }
        };
        Self { queue, ..self }
    }
}

async fn degraded(publisher: &SpoolingPublisher) -> String {
    match publisher.ready().await.unwrap() {
        Readiness::Degraded(why) => why,
        Readiness::Ready => panic!("nothing is degraded"),
    }
}

async fn refused(publisher: &SpoolingPublisher, id: &str) -> String {
    let error = publisher.publish(event(id)).await.unwrap_err();
    ErrorChain(&error).to_string()
}

#[tokio::test]
async fn what_the_broker_confirms_does_not_touch_the_spool() {
    let bench = Bench::new(Behaviour::Accept).await;
    let publisher = bench.publisher(PLENTY);
    publish(&publisher, 0..3).await;
    assert_eq!(bench.at_broker(), [0, 1, 2]);
    assert_eq!(bench.spooled(), 0);
    assert_eq!(publisher.ready().await.unwrap(), Readiness::Ready);
}

#[tokio::test]
async fn what_the_broker_does_not_take_is_durable_before_it_is_confirmed() {
    let bench = Bench::new(Behaviour::Fail).await;
    publish(&bench.publisher(PLENTY), 0..3).await;
    let bench = bench.killed().await;
    assert_eq!(drain(&mut bench.queue.consumer(), 3).await, [0, 1, 2]);
}

/// A load balancer must not go on to send events to where only an empty one would fit.
#[tokio::test]
async fn a_spool_with_no_room_for_an_event_of_usual_size_is_not_ready() {
    let bench = Bench::new(Behaviour::Fail).await;
    let publisher = bench.publisher(20_000);
    for (bytes, ready) in [(17_000, true), (1_000, false)] {
        let mut large = event(format!("evt_{bytes}"));
        large.body = vec![b' '; bytes].into();
        let _ = publisher.publish(large).await.unwrap();
        assert_eq!(publisher.ready().await.is_ok(), ready, "{bytes}");
    }
}

#[tokio::test]
async fn a_full_spool_refuses_with_the_brokers_reason_and_recovers_as_it_drains() {
    let bench = Bench::new(Behaviour::Fail).await;
    let size = 256 + event("evt_0").body.len() as u64;
    let publisher = bench.publisher(2 * size);
    publish(&publisher, [0, 1]).await;
    let full = refused(&publisher, "evt_2").await;
    for words in [
        &format!("holds {} of at most {} bytes", 2 * size, 2 * size),
        "HOOKMIRROR_SPOOL_MAX_BYTES",
        "the disk is full",
    ] {
        assert!(full.contains(words), "no {words:?} in {full}");
    }
    let error = publisher.ready().await.unwrap_err();
    assert!(ErrorChain(&error).to_string().contains("the spool is full"));
    assert_eq!(bench.spooled(), 2);

    drain(&mut bench.queue.consumer(), 2).await;
    publish(&publisher, [2]).await;
    assert_eq!(bench.spooled(), 1);
}

/// All find room, as nothing is committed yet.
#[tokio::test]
async fn events_that_come_together_do_not_overfill_the_spool() {
    let bench = Bench::new(Behaviour::Fail).await;
    let size = 256 + event("evt_00").body.len() as u64;
    let publisher = bench.publisher(5 * size);
    let together = (10..60).map(|number| publisher.publish(event(format!("evt_{number}"))));
    let answers = futures_util::future::join_all(together).await;
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((kept, bench.spooled()), (5, 5));
    drop(answers);
    // Whatever was on its way has arrived: the room is free again as soon as the spool is.
    drain(&mut bench.queue.consumer(), 5).await;
    publish(&publisher, 70..75).await;
}

#[tokio::test]
async fn a_spool_that_cannot_commit_refuses_with_both_reasons() {
    let bench = Bench::new(Behaviour::Fail).await;
    let publisher = bench.publisher(PLENTY);
    let mut stranger = stranger(bench.directory.path()).await;
    execute(
        &mut stranger,
        "CREATE TRIGGER full BEFORE INSERT ON messages \
         BEGIN SELECT RAISE(ROLLBACK, 'no room for rows'); END",
    )
    .await;
    let neither = refused(&publisher, "evt_0").await;
    assert!(neither.contains("no room for rows"), "{neither}");
    assert!(neither.contains("the disk is full"), "{neither}");
    execute(&mut stranger, "DROP TRIGGER full").await;
    publish(&publisher, [0]).await;
}

#[tokio::test]
async fn switched_off_it_leaves_everything_to_the_broker() {
    let bench = Bench::new(Behaviour::Gate).await;
    let publisher = bench.waiting(SHORT, 0);
    let patient = async {
        tokio::time::sleep(3 * SHORT).await;
        bench.broker.open_gate();
    };
    let (confirmed, ()) = tokio::join!(publisher.publish(event("evt_0")), patient);
    let _ = confirmed.unwrap();
    bench.broker.become_(Behaviour::Fail);
    assert!(publisher.publish(event("evt_1")).await.is_err());
    assert!(publisher.ready().await.is_err());
    assert_eq!(bench.spooled(), 0);
}

#[tokio::test]
async fn only_one_event_now_and_then_waits_for_a_broker_that_does_not_answer() {
    let bench = Bench::new(Behaviour::Hang).await;
    let publisher = bench.waiting(SHORT, PLENTY);
    publish(&publisher, 0..10).await;
    assert_eq!(bench.at_broker(), [0], "the others had nothing to wait for");
    assert!(
        degraded(&publisher)
            .await
            .contains("10 events are in the spool")
    );
    assert_eq!(bench.broker.proofs(), 0);

    bench.clock.advance(PAUSE);
    publish(&publisher, 10..20).await;
    assert_eq!(bench.at_broker(), [0, 10]);

    bench.clock.advance(PAUSE - Duration::from_millis(1));
    publish(&publisher, [20]).await;
    assert_eq!(bench.at_broker(), [0, 10]);

    // While one finds out, the others do not wait.
    bench.clock.advance(Duration::from_millis(1));
    let mut probe = publisher.publish(event("evt_99"));
    assert!(futures_util::poll!(&mut probe).is_pending());
    publish(&publisher, 21..25).await;
    assert_eq!(bench.at_broker(), [0, 10, 99]);
    // One that is given up on has found nothing out.
    drop(probe);
    bench.broker.become_(Behaviour::Accept);
    publish(&publisher, 25..28).await;
    assert_eq!(bench.at_broker(), [0, 10, 99, 25, 26, 27]);
}

#[tokio::test]
async fn a_broker_that_fails_at_once_is_asked_each_time() {
    let bench = Bench::new(Behaviour::Fail).await;
    let publisher = bench.publisher(PLENTY);
    publish(&publisher, 0..3).await;
    assert_eq!(bench.at_broker(), [0, 1, 2]);
    bench.broker.become_(Behaviour::Accept);
    publish(&publisher, [3]).await;
    assert_eq!(bench.spooled(), 3);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_events_from_the_broker() {
    let bench = Bench::new(Behaviour::Hang).await;
    let publisher = bench.waiting(SHORT, PLENTY);
    publish(&publisher, [0]).await;
    bench.broker.become_(Behaviour::Accept);
    bench.clock.set(at(-3600));
    publish(&publisher, [1]).await;
    assert_eq!(bench.at_broker(), [0, 1]);
}

/// There is nowhere else to go.
#[tokio::test]
async fn with_a_full_spool_an_event_waits_for_a_broker_that_does_not_answer() {
    let bench = Bench::new(Behaviour::Hang).await;
    let size = 256 + event("evt_0").body.len() as u64;
    let publisher = bench.waiting(SHORT, size);
    publish(&publisher, [0]).await;
    bench.broker.become_(Behaviour::Accept);
    publish(&publisher, [1]).await;
    assert_eq!((bench.at_broker(), bench.spooled()), (vec![0, 1], 1));
}

#[tokio::test]
async fn readiness_tells_where_an_event_would_go() {
    let bench = Bench::new(Behaviour::Fail).await;
    let publisher = bench.publisher(PLENTY);
    let why = degraded(&publisher).await;
    assert!(
        why.starts_with("RabbitMQ is away (") && why.contains("the disk is full"),
        "{why}"
    );
    assert!(why.ends_with("0 events are in the spool"), "{why}");
    publish(&publisher, [0]).await;
    assert!(
        degraded(&publisher)
            .await
            .ends_with("1 event is in the spool")
    );

    bench.broker.become_(Behaviour::Accept);
    let why = degraded(&publisher).await;
    assert_eq!(why, "1 event is on the way from the spool to RabbitMQ");
    drain(&mut bench.queue.consumer(), 1).await;
    assert_eq!(publisher.ready().await.unwrap(), Readiness::Ready);
}

/// Nobody has verified it, so it cannot be relayed; but nobody forgets it either.
#[tokio::test]
async fn damage_in_the_spool_is_told_of_until_somebody_takes_it_over() {
    let bench = Bench::new(Behaviour::Fail).await;
    let publisher = bench.publisher(PLENTY);
    publish(&publisher, [0, 1]).await;
    let mut stranger = stranger(bench.directory.path()).await;
    execute(
        &mut stranger,
        "UPDATE messages SET source = 'No Such Name' WHERE event_id = 'evt_0'",
    )
    .await;
    bench.broker.become_(Behaviour::Accept);
    let mut consumer = bench.queue.consumer();
    assert_eq!(drain(&mut consumer, 1).await, [1]);
    assert!(futures_util::poll!(hookmirror::queue::Consumer::take(&mut consumer, 1)).is_pending());
    // Orders are carried out in turn, so by now the damage has been put away.
    bench.queue.publisher().ready().await.unwrap();
    let why = degraded(&publisher).await;
    assert_eq!(why, "1 message is in the spool that cannot be relayed");
    let waiting = inspect::waiting(bench.directory.path()).await.unwrap();
    assert_eq!((waiting.messages, waiting.dead), (1, 1));
}
