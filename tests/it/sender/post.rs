//! The posting, against a receiver on loopback.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookmirror::clock::{Clock, SystemClock};
use hookmirror::model::time::Timestamp;
use hookmirror::sender::{
    Delivery, Ending, ErrorAnswer, Latency, PlanOptions, Progress, Refusals, Report, SendOptions,
    Sender, Silent, plan,
};
use http::header::RETRY_AFTER;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::receiver::{Receiver, accepted, error};
use super::{deliveries, eager};

fn sender(receiver: &Receiver, options: SendOptions) -> Sender {
    Sender::new(receiver.endpoints(), options, Arc::new(SystemClock)).unwrap()
}

async fn send(receiver: &Receiver, options: SendOptions, deliveries: Vec<Delivery>) -> Report {
    let never = CancellationToken::new();
    let sender = sender(receiver, options);
    // On a task of its own, as the demonstration does it: the future has to be `Send`.
    let task = tokio::spawn(async move { sender.send(deliveries, &Silent, &never).await });
    task.await.unwrap().unwrap()
}

#[tokio::test]
async fn everything_arrives_signed_and_as_it_was_planned() {
    let receiver = Receiver::start(async |_, _| accepted()).await;
    let options = PlanOptions {
        duplicates_percent: 25,
        shuffle: true,
        seed: 5,
    };
    let planned = plan(deliveries(40), options);
    let report = send(&receiver, eager(), planned.clone()).await;

    assert!(report.is_complete());
    assert_eq!((report.planned, report.deliveries), (50, 50));
    assert_eq!(
        (report.events, report.accepted, report.retries),
        (40, 50, 0)
    );
    assert_eq!(
        (report.refused_total(), report.gave_up, report.unfinished()),
        (0, 0, 0)
    );
    let latency = report.latency.unwrap();
    assert!(Duration::ZERO < latency.p50 && latency.p50 <= latency.p99);
    assert!(latency.p99 <= latency.max && latency.max <= report.elapsed);

    let sorted = |mut all: Vec<_>| {
        all.sort();
        all
    };
    let sent = planned.iter().map(|d| (d.key(), d.body.clone())).collect();
    let attempts = receiver.attempts();
    let came = attempts
        .iter()
        .map(|a| (a.event.key.clone(), a.event.body.clone()));
    assert_eq!(sorted(came.collect()), sorted(sent));
    assert!(
        attempts
            .iter()
            .all(|a| a.headers["content-type"] == "application/json")
    );
}

/// A minute later each time it is asked.
#[derive(Debug)]
struct Minutes {
    start: Timestamp,
    asked: AtomicI64,
}

impl Clock for Minutes {
    fn now(&self) -> Timestamp {
        let minutes = self.asked.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_millis(self.start.as_millis() + minutes * 60_000)
    }
}

#[tokio::test]
async fn failures_are_tried_again_with_a_new_signature_on_the_same_event() {
    let receiver = Receiver::start(async |before, _| match before {
        0 => error(503, "not_durable"),
        1 => error(500, "oh"),
        _ => accepted(),
    })
    .await;
    for provider in [0, 1] {
        let first = receiver.attempts().len();
        assert!(first == 0 || first == 3);
        let clock = Minutes {
            start: SystemClock.now(),
            asked: AtomicI64::new(0),
        };
        let sender = Sender::new(receiver.endpoints(), eager(), Arc::new(clock)).unwrap();
        let delivery = deliveries(2).remove(provider);
        let report = sender
            .send(vec![delivery.clone()], &Silent, &CancellationToken::new())
            .await
            .unwrap();
        assert!(report.is_complete());
        let attempts = receiver.attempts().split_off(first);
        let retries = if provider == 0 { 2 } else { 0 };
        assert_eq!(report.retries, retries);
        assert_eq!(attempts.len() as u64, retries + 1);

        let mut signatures = std::collections::HashSet::new();
        for attempt in &attempts {
            assert_eq!(attempt.event.key, delivery.key());
            assert_eq!(attempt.event.body, delivery.body);
            let headers = &attempt.headers;
            let signature = headers
                .get("svix-signature")
                .or(headers.get("stripe-signature"));
            signatures.insert(signature.unwrap().clone());
        }
        assert_eq!(signatures.len(), attempts.len());
    }
}

/// Writes down what it is told.
#[derive(Default)]
struct Notes {
    retries: Mutex<Vec<(String, Duration)>>,
    endings: Mutex<Vec<Ending>>,
    cancel_after: Option<(usize, CancellationToken)>,
}

impl Progress for Notes {
    fn retrying(&self, _: &Delivery, because: &str, pause: Duration) {
        self.retries
            .lock()
            .unwrap()
            .push((because.to_owned(), pause));
    }

    fn ended(&self, _: &Delivery, ending: &Ending) {
        let mut endings = self.endings.lock().unwrap();
        endings.push(ending.clone());
        if let Some((count, cancel)) = &self.cancel_after
            && endings.len() == *count
        {
            cancel.cancel();
        }
    }
}

#[tokio::test]
async fn refusals_are_final_and_counted_by_status() {
    let receiver = Receiver::start(async |before, _| match before {
        0 | 4 => error(401, "signature_mismatch"),
        1 => error(413, "body\u{1b}[31m_too_large"),
        2 => http::Response::builder()
            .status(307)
            .body("".into())
            .unwrap(),
        _ => accepted(),
    })
    .await;
    let one_at_a_time = SendOptions {
        concurrency: 1,
        ..eager()
    };
    let report = send(&receiver, one_at_a_time, deliveries(5)).await;

    assert_eq!(receiver.attempts().len(), 5);
    assert_eq!((report.deliveries, report.events), (5, 5));
    assert_eq!((report.accepted, report.retries, report.gave_up), (1, 0, 0));
    assert!(!report.is_complete());
    let answer = |code: &str| {
        Some(ErrorAnswer {
            code: code.to_owned(),
            message: "because".to_owned(),
        })
    };
    let refusals = |count, first_answer| Refusals {
        count,
        first_answer,
    };
    let expected = BTreeMap::from([
        (307, refusals(1, None)),
        (401, refusals(2, answer("signature_mismatch"))),
        (413, refusals(1, answer("body[31m_too_large"))),
    ]);
    assert_eq!(report.refused, expected);
    assert_eq!(report.refused_total(), 4);
}

#[tokio::test]
async fn what_does_not_pass_in_time_is_given_up() {
    let receiver = Receiver::start(async |_, _| error(503, "not_durable")).await;
    let options = SendOptions {
        retry_for: Duration::from_millis(30),
        ..eager()
    };
    let report = send(&receiver, options, deliveries(3)).await;
    assert_eq!(
        (report.gave_up, report.accepted, report.unfinished()),
        (3, 0, 0)
    );
    assert!(report.retries > 0);
    assert_eq!(report.retries + 3, receiver.attempts().len() as u64);
    let because = report.gave_up_because.unwrap();
    assert!(
        because.contains("503") && because.contains("not_durable: because"),
        "{because}"
    );
    assert_eq!(report.latency, None);
}

#[tokio::test]
async fn a_longer_wait_that_the_receiver_asks_for_is_honoured() {
    let receiver = Receiver::start(async |before, _| match before {
        0 => {
            let mut answer = error(503, "too_busy");
            answer.headers_mut().insert(RETRY_AFTER, 1.into());
            answer
        }
        1 => {
            let mut answer = error(503, "too_busy");
            answer.headers_mut().insert(RETRY_AFTER, 3600.into());
            answer
        }
        _ => accepted(),
    })
    .await;
    let notes = Notes::default();
    let report = sender(&receiver, eager())
        .send(deliveries(1), &notes, &CancellationToken::new())
        .await
        .unwrap();
    // The first wait is kept to; the second one would go beyond all patience.
    assert_eq!((report.gave_up, report.retries), (1, 1));
    assert!(report.elapsed >= Duration::from_secs(1));
    let retries = notes.retries.lock().unwrap();
    assert_eq!(retries.len(), 1);
    assert_eq!(retries[0].1, Duration::from_secs(1));
    assert!(matches!(
        notes.endings.lock().unwrap()[..],
        [Ending::GaveUp { .. }]
    ));
}

/// Counts the deliveries under way as the sender sees them: each is signed when it begins.
#[derive(Clone, Debug, Default)]
struct UnderWay {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Clock for UnderWay {
    fn now(&self) -> Timestamp {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        SystemClock.now()
    }
}

impl Progress for UnderWay {
    fn retrying(&self, _: &Delivery, because: &str, _: Duration) {
        panic!("nothing fails here, but: {because}");
    }

    fn ended(&self, _: &Delivery, _: &Ending) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn as_many_as_allowed_are_under_way_and_no_more() {
    const TOGETHER: usize = 4;
    // Nobody is answered before four are there: with fewer under way this would never end.
    let gate = Arc::new(Barrier::new(TOGETHER));
    let receiver = Receiver::start(move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.wait().await;
            accepted()
        }
    })
    .await;
    let options = SendOptions {
        concurrency: TOGETHER,
        ..eager()
    };
    let under_way = UnderWay::default();
    let clock = Arc::new(under_way.clone());
    let report = Sender::new(receiver.endpoints(), options, clock)
        .unwrap()
        .send(
            deliveries(3 * TOGETHER),
            &under_way,
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert!(report.is_complete());
    assert_eq!(under_way.most.load(Ordering::SeqCst), TOGETHER);
}

#[tokio::test]
async fn a_rate_is_not_exceeded() {
    let receiver = Receiver::start(async |_, _| accepted()).await;
    let options = SendOptions {
        rate: Some(100.0),
        ..eager()
    };
    let report = send(&receiver, options, deliveries(11)).await;
    assert!(report.is_complete());
    // Ten periods lie between eleven deliveries.
    assert!(
        report.elapsed >= Duration::from_millis(99),
        "{:?}",
        report.elapsed
    );
}

#[tokio::test]
async fn a_cancel_stops_at_once_and_tells_what_is_done() {
    let receiver = Receiver::start(async |before, _| {
        if before == 3 {
            std::future::pending::<()>().await;
        }
        accepted()
    })
    .await;
    let cancel = CancellationToken::new();
    let notes = Notes {
        cancel_after: Some((3, cancel.clone())),
        ..Notes::default()
    };
    let options = SendOptions {
        concurrency: 1,
        ..eager()
    };
    let report = sender(&receiver, options)
        .send(deliveries(10), &notes, &cancel)
        .await
        .unwrap();
    assert!(report.cancelled);
    assert_eq!(
        (report.planned, report.accepted, report.unfinished()),
        (10, 3, 7)
    );
    assert!(report.latency.is_some());
    assert!(receiver.attempts().len() <= 4);
}

#[tokio::test]
async fn an_attempt_that_is_cut_or_too_slow_is_tried_again() {
    let receiver = Receiver::start(async |before, _| {
        match before {
            0 => std::future::pending::<()>().await,
            // A handler that panics takes its connection with it.
            1 => panic!("the connection is cut on purpose"),
            _ => {}
        }
        accepted()
    })
    .await;
    let options = SendOptions {
        timeout: Duration::from_millis(500),
        ..eager()
    };
    let report = send(&receiver, options, deliveries(1)).await;
    assert!(report.is_complete());
    assert_eq!(report.retries, 2);
}

#[test]
fn latencies_are_by_nearest_rank() {
    let millis = Duration::from_millis;
    let latency = |p50, p99, max| Latency {
        p50: millis(p50),
        p99: millis(p99),
        max: millis(max),
    };
    assert_eq!(Latency::of(Vec::new()), None);
    assert_eq!(Latency::of(vec![millis(7)]), Some(latency(7, 7, 7)));
    assert_eq!(
        Latency::of(vec![millis(9), millis(3)]),
        Some(latency(3, 9, 9))
    );
    let all = (1..=200).rev().map(millis).collect();
    assert_eq!(Latency::of(all), Some(latency(100, 198, 200)));
}
