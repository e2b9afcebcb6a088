//! Engines that are away: nothing is lost, nobody is charged, and each is waited for by itself.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hookmirror::backoff::Backoff;
use hookmirror::model::changes::Outcome;
use hookmirror::model::state::EventState;
use hookmirror::queue::Consumer;
use hookmirror::store::StoreError;
use hookmirror::worker::WorkError;

use super::{Bench, USER, checkout, user_updated};
use crate::support::faults::{Call, When};
use crate::support::faulty_store::{Around, FaultyStore, StoreCall};
use crate::support::given::user_id;

#[tokio::test]
async fn told_to_stop_in_an_outage_it_gives_the_batch_back_and_charges_nobody() {
    let mut bench = Bench::new().await;
    bench.publish(user_updated("msg_1")).await;
    let error = bench.step_into_an_outage(When::Before).await;
    assert!(matches!(error, WorkError::Store(_)), "{error:?}");
    assert_eq!(bench.waiting().await, 1);
    assert_eq!(bench.account("msg_1").await, None);
    assert_eq!(bench.faults.ended(Call::Ack), 0);

    bench.step().await.unwrap();
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_1").await, applied);
    assert_eq!(bench.waiting().await, 0);
}

/// A commit whose confirmation got lost is found again as a duplicate.
#[tokio::test]
async fn a_commit_that_was_not_confirmed_has_its_effect_once() {
    let mut bench = Bench::new().await;
    bench.publish(user_updated("msg_1")).await;
    bench.publish(checkout("evt_1")).await;
    bench.step_into_an_outage(When::After).await;
    assert_eq!(bench.waiting().await, 2);
    let before = bench.store.find_user(&user_id(USER)).await.unwrap();

    bench.clock.advance(Duration::from_secs(60));
    for applied in bench.step().await.unwrap() {
        assert_eq!(applied.outcome, Outcome::Duplicate);
    }
    let after = bench.store.find_user(&user_id(USER)).await.unwrap();
    assert_eq!(after, before, "synced_at included");
    let twice = Some((EventState::Applied, 2, 1));
    assert_eq!(bench.account("msg_1").await, twice);
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn a_lost_acknowledgement_has_its_effect_once_and_wakes_the_outbox() {
    for when in [When::Before, When::After] {
        let mut bench = Bench::new().await;
        bench.publish(checkout("evt_1")).await;
        bench.faults.fail_nth(1, Call::Ack, when);
        let error = bench.step().await.unwrap_err();
        assert!(matches!(error, WorkError::Queue(_)), "{error:?}");
        assert!(bench.bell_was_rung(), "the payment is recorded");

        bench.publish(user_updated("msg_1")).await;
        let mut settled = 0;
        while bench.waiting().await > 0 {
            settled += bench.step().await.unwrap().len();
        }
        let deliveries = if when == When::Before { 2 } else { 1 };
        assert_eq!(settled, deliveries, "{when:?}");
        let account = bench.account("evt_1").await;
        let expected = u64::try_from(deliveries).unwrap();
        assert_eq!(account, Some((EventState::Applied, expected, 1)));
    }
}

#[tokio::test]
async fn it_resumes_by_itself_when_the_store_is_back() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Apply, When::Before);
    faults.break_down(Call::Ping, When::Before);
    bench.publish(user_updated("msg_1")).await;
    bench
        .running(async {
            faults.until_ended(Call::Ping, 5).await;
            assert_eq!(faults.ended(Call::Take), 1, "takes nothing meanwhile");
            assert_eq!(faults.ended(Call::Apply), 1);
            faults.mend(Call::Apply);
            faults.mend(Call::Ping);
            faults.until_ended(Call::Ack, 1).await;
            assert_eq!(
                faults.ended(Call::Take),
                1,
                "held, and not handed out again"
            );
        })
        .await;
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_1").await, applied);
    assert_eq!(bench.waiting().await, 0);
}

/// A database that cannot commit more than so many events at once in the time that a call has.
#[derive(Debug)]
struct Narrow(usize);

impl Around for Narrow {
    async fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match call {
            StoreCall::Apply(batch) if batch.len() > self.0 => Err(StoreError::Unavailable {
                action: "apply a batch",
                source: "no answer in time".into(),
            }),
            _ => work.await,
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_too_much_for_the_database_is_not_all_it_tries() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    let worker = bench.worker.as_mut().unwrap();
    worker.patience.hold = Duration::ZERO;
    worker.store = Arc::new(FaultyStore {
        inner: Arc::clone(&bench.store),
        faults: Narrow(3),
    });
    for number in 0..10 {
        bench.publish(user_updated(&format!("msg_{number}"))).await;
    }
    // One, two, and four are too many: three times; and the last one.
    bench.running(faults.until_ended(Call::Ack, 7)).await;
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn in_a_long_outage_the_batch_goes_back_and_nothing_is_taken() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    bench.worker.as_mut().unwrap().patience.hold = Duration::ZERO;
    faults.break_down(Call::Apply, When::Before);
    faults.break_down(Call::Ping, When::Before);
    bench.publish(user_updated("msg_1")).await;
    let mut consumer = bench.queue.consumer();
    bench
        .running(async {
            faults.until_ended(Call::Ping, 5).await;
            // Whoever reaches the database can have it.
            let batch = consumer.take(10).await.unwrap();
            assert_eq!(batch.events.len(), 1);
            batch.delivery.give_back();
            assert_eq!(faults.ended(Call::Take), 1, "takes nothing meanwhile");
            faults.mend(Call::Apply);
            faults.mend(Call::Ping);
            faults.until_ended(Call::Ack, 1).await;
        })
        .await;
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_1").await, applied);
    assert_eq!(bench.waiting().await, 0);
}

/// Whoever can only look at the database must not be driven in circles by a successful look.
#[tokio::test]
async fn a_store_that_answers_and_commits_nothing_is_not_asked_in_a_rush() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    bench.worker.as_mut().unwrap().patience.backoff = SLOW;
    faults.break_down(Call::Apply, When::Before);
    bench.publish(user_updated("msg_1")).await;
    let start = Instant::now();
    bench.running(faults.until_ended(Call::Apply, 5)).await;
    assert!(start.elapsed() > FOUR_SLOW_WAITS);
    assert_eq!(bench.waiting().await, 1);
    assert_eq!(bench.account("msg_1").await, None);
}

#[tokio::test]
async fn it_outlives_a_queue_that_is_away() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Take, When::After);
    bench.publish(user_updated("msg_1")).await;
    bench
        .running(async {
            faults.until_ended(Call::Take, 4).await;
            faults.mend(Call::Take);
            faults.until_ended(Call::Ack, 1).await;
            assert_eq!(faults.ended(Call::Ping), 0, "the database was not to blame");
        })
        .await;
    let applied = Some((EventState::Applied, 1, 1));
    assert_eq!(bench.account("msg_1").await, applied);
}

#[tokio::test]
async fn a_queue_that_acknowledges_nothing_is_not_asked_in_a_rush() {
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    bench.worker.as_mut().unwrap().patience.backoff = SLOW;
    faults.break_down(Call::Ack, When::Before);
    bench.publish(user_updated("msg_1")).await;
    let start = Instant::now();
    bench
        .running(async {
            faults.until_ended(Call::Ack, 5).await;
            assert!(start.elapsed() > FOUR_SLOW_WAITS);
            assert_eq!(faults.ended(Call::Ping), 0, "the database was not to blame");
            faults.mend(Call::Ack);
            faults.until_ended(Call::Ack, 6).await;
        })
        .await;
    let settled = Some((EventState::Applied, 6, 1));
    assert_eq!(bench.account("msg_1").await, settled);
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn it_stops_while_it_waits_for_events_and_while_the_store_is_away() {
    let mut bench = Bench::new().await;
    bench.running(async {}).await;

    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Apply, When::Before);
    faults.break_down(Call::Ping, When::Before);
    bench.publish(user_updated("msg_1")).await;
    bench.running(faults.until_ended(Call::Ping, 1)).await;
    assert_eq!(bench.waiting().await, 1);
}

/// No wait is so long that stopping would have to wait for it.
#[tokio::test]
async fn it_stops_in_the_middle_of_a_long_wait() {
    for call in [Call::Apply, Call::Take, Call::Ack] {
        let mut bench = Bench::new().await;
        let faults = Arc::clone(&bench.faults);
        bench.worker.as_mut().unwrap().patience.backoff = Backoff {
            first: Duration::from_secs(3600),
            longest: Duration::from_secs(3600),
            seed: 7,
        };
        faults.break_down(call, When::Before);
        bench.publish(user_updated("msg_1")).await;
        bench.running(faults.until_ended(call, 1)).await;
        assert_eq!(bench.waiting().await, 1);
    }
}

const SLOW: Backoff = Backoff {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(80),
    seed: 7,
};
/// 20 + 40 + 80 + 80 milliseconds, before jitter.
const FOUR_SLOW_WAITS: Duration = Duration::from_millis(220);

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_outage_is_told_once_and_so_is_its_end() {
    let log = Log::default();
    let subscriber = || {
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish()
    };
    // While there is a single subscriber, a line that a thread without one reaches first stays off
    // for everybody.
    let _second = tracing::Dispatch::new(subscriber());
    let guard = tracing::subscriber::set_default(subscriber());
    let mut bench = Bench::new().await;
    let faults = Arc::clone(&bench.faults);
    faults.break_down(Call::Take, When::Before);
    faults.break_down(Call::Apply, When::Before);
    faults.break_down(Call::Ping, When::Before);
    bench.publish(user_updated("msg_1")).await;
    bench
        .running(async {
            faults.until_ended(Call::Take, 10).await;
            faults.mend(Call::Take);
            faults.until_ended(Call::Ping, 10).await;
            faults.mend(Call::Apply);
            faults.mend(Call::Ping);
            faults.until_ended(Call::Ack, 1).await;
        })
        .await;
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let told = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(told("ERROR"), 2, "{log}");
    for line in [
        "until the queue is back",
        "the queue is back: work resumes",
        "until the database is back",
        "the database is back: work resumes",
    ] {
        assert_eq!(told(line), 1, "{line:?} in {log}");
    }
}
