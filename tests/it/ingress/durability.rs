//! Nothing is acknowledged that the queue has not confirmed, whatever the queue does.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use futures_util::poll;
use hookmirror::ingress::Limits;
use hookmirror::model::source::Provider;
use http::{Request, StatusCode};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::time::{Instant, sleep};
use tracing_subscriber::fmt::MakeWriter;

use super::door::{
    Door, NOW, SECRET, STRANGERS_SECRET, body, limits, post, refusal, router, sign, sign_with, soon,
};
use crate::support::publisher::{Behaviour, RecordingPublisher};

fn impatient() -> Limits {
    Limits {
        confirm_timeout: Duration::from_millis(50),
        ..limits()
    }
}

fn request(provider: Provider, secret: &str) -> Request<Body> {
    request_to(&provider.to_string(), provider, secret)
}

fn request_to(source: &str, provider: Provider, secret: &str) -> Request<Body> {
    let mut request = Request::post(format!("/webhooks/{source}"))
        .body(Body::from(body()))
        .unwrap();
    *request.headers_mut() = sign_with(secret, provider, NOW, &body());
    request
}

#[tokio::test]
async fn nothing_is_answered_before_the_queue_has_confirmed() {
    for provider in Provider::ALL {
        let publisher = Arc::new(RecordingPublisher::new(Behaviour::Gate));
        let service = TowerToHyperService::new(router(&publisher, limits()));
        let mut answer = std::pin::pin!(service.call(request(provider, SECRET)));
        for _ in 0..100 {
            assert!(matches!(poll!(&mut answer), Poll::Pending));
        }
        assert_eq!(publisher.events().len(), 1);
        publisher.open_gate();
        let answer = soon(answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn a_queue_that_fails_or_hangs_makes_the_provider_come_again() {
    let door = Door::open_with(Behaviour::Accept, impatient()).await;
    for provider in Provider::ALL {
        let request = post(provider, &sign(provider, &body()), &body());
        let mut wire = door.connect().await;
        for behaviour in [Behaviour::Fail, Behaviour::Hang] {
            door.publisher.become_(behaviour);
            wire.send(&request).await;
            let answer = wire.answer().await;
            assert_eq!(answer.refusal(), refusal(503, "not_durable"));
            let retry_after = answer.headers["retry-after"].to_str().unwrap();
            assert!(retry_after.parse::<u32>().unwrap() > 0);
            assert!(!answer.text().contains("disk"), "{answer:?}");
            assert!(!answer.closes());
        }
        // The same connection, once the queue is well again.
        door.publisher.become_(Behaviour::Accept);
        wire.send(&request).await;
        assert_eq!(wire.answer().await.status, 202);
    }
}

#[tokio::test]
async fn a_panic_costs_one_request_only() {
    let door = Door::open(Behaviour::Panic).await;
    let request = post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body());
    let answer = door.ask(&request).await;
    assert_eq!(answer.refusal(), refusal(500, "internal"));
    assert!(!answer.text().contains("panic"), "{answer:?}");

    door.publisher.become_(Behaviour::Accept);
    assert_eq!(door.ask(&request).await.status, 202);
}

#[tokio::test]
async fn a_sender_that_hangs_up_while_the_queue_works_harms_nobody() {
    let door = Door::open(Behaviour::Gate).await;
    let request = post(Provider::Clerk, &sign(Provider::Clerk, &body()), &body());
    let mut gone = door.connect().await;
    gone.send(&request).await;
    soon(door.publisher.entered()).await;
    drop(gone);

    let mut wire = door.connect().await;
    wire.send(&request).await;
    soon(door.publisher.entered()).await;
    // One for each, whether or not the first still waits.
    door.publisher.open_gate();
    door.publisher.open_gate();
    assert_eq!(wire.answer().await.status, 202);
}

#[tokio::test]
async fn liveness_depends_on_nothing_and_readiness_on_the_queue() {
    let door = Door::open_with(Behaviour::Accept, impatient()).await;
    let answer = door.get("/readyz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, r#"{"status":"ready"}"#)
    );
    for behaviour in [Behaviour::Fail, Behaviour::Hang] {
        door.publisher.become_(behaviour);
        let answer = door.get("/readyz").await;
        assert_eq!(answer.refusal(), refusal(503, "not_ready"));
        assert!(answer.text().contains("`queue`"), "{answer:?}");
        assert_eq!(door.get("/livez").await.text(), r#"{"status":"alive"}"#);
    }
    door.publisher.become_(Behaviour::Accept);
    assert_eq!(door.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn many_who_ask_for_readiness_share_the_proof() {
    let publisher = Arc::new(RecordingPublisher::new(Behaviour::Gate));
    let service = TowerToHyperService::new(router(&publisher, limits()));
    let ask = || {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        Box::pin(service.call(request))
    };
    let mut asking: Vec<_> = (0..50).map(|_| ask()).collect();
    for answer in &mut asking {
        assert!(poll!(answer).is_pending());
    }
    publisher.open_gate();
    publisher.open_gate();
    for answer in asking {
        assert_eq!(soon(answer).await.unwrap().status(), StatusCode::OK);
    }
    // One that was under way when the others came, and one for all of them.
    assert_eq!(publisher.proofs(), 2);
    // It is not kept for those who come later.
    publisher.become_(Behaviour::Fail);
    assert_eq!(
        soon(ask()).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_through_a_failed_proof_takes_the_failure() {
    let publisher = Arc::new(RecordingPublisher::new(Behaviour::Hang));
    let service = TowerToHyperService::new(router(&publisher, impatient()));
    let ask = || {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        Box::pin(service.call(request))
    };
    let limit = impatient().confirm_timeout;
    let begun = Instant::now();
    let mut asking = vec![ask()];
    assert!(poll!(&mut asking[0]).is_pending());
    sleep(limit / 2).await;
    asking.extend((0..50).map(|_| ask()));
    for answer in &mut asking {
        assert!(poll!(answer).is_pending());
    }
    for answer in asking {
        let status = answer.await.unwrap().status();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    // Not each after a time of its own. Timers are true to a millisecond.
    assert!(begun.elapsed() < limit + limit / 4, "{:?}", begun.elapsed());
    assert_eq!(publisher.proofs(), 1);

    // The next try costs the one who makes it.
    let mut trying = ask();
    assert!(poll!(&mut trying).is_pending());
    let Poll::Ready(Ok(told)) = poll!(ask()) else {
        panic!("it waits");
    };
    assert_eq!(told.status(), StatusCode::SERVICE_UNAVAILABLE);
    trying.await.unwrap();

    // A failure of long ago is nobody's.
    sleep(2 * limit).await;
    publisher.become_(Behaviour::Gate);
    let (mut first, mut second) = (ask(), ask());
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    publisher.open_gate();
    publisher.open_gate();
    for answer in [first, second] {
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_says_what_happened_and_nothing_about_anyone() {
    let publisher = Arc::new(RecordingPublisher::new(Behaviour::Accept));
    let make_it_talk = async || {
        let service = TowerToHyperService::new(router(&publisher, limits()));
        for (behaviour, provider, secret) in [
            (Behaviour::Fail, Provider::Clerk, SECRET),
            // The queue's failure is told once and not with every request that it costs.
            (Behaviour::Fail, Provider::Clerk, SECRET),
            (Behaviour::Fail, Provider::Clerk, SECRET),
            (Behaviour::Accept, Provider::Clerk, STRANGERS_SECRET),
            (Behaviour::Accept, Provider::Stripe, SECRET),
        ] {
            publisher.become_(behaviour);
            soon(service.call(request(provider, secret))).await.unwrap();
        }
        // What is forged for one source does not hide what is for another; names are anybody's to invent.
        for (source, provider) in [
            ("clerk", Provider::Clerk),
            ("stripe", Provider::Stripe),
            ("nobody", Provider::Clerk),
            ("no-one", Provider::Clerk),
        ] {
            let forged = request_to(source, provider, STRANGERS_SECRET);
            soon(service.call(forged)).await.unwrap();
        }
    };
    // `tracing` decides once for each place in the code whether anyone listens there. If another
    // test's thread passed first, while only this thread listens, the decision would be no; places
    // that are known before this thread listens are decided anew.
    make_it_talk().await;

    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    make_it_talk().await;
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 9, "{log}");
    for (line, parts) in lines.iter().zip([
        [
            " ERROR ",
            "clerk",
            "not_durable",
            "confirm the event: the disk is full",
        ],
        [" DEBUG ", "clerk", "not_durable", "503"],
        [" DEBUG ", "clerk", "not_durable", "503"],
        [" INFO ", "clerk", "signature_mismatch", "401"],
        [" DEBUG ", "stripe", "msg_1", "accepted"],
        [" DEBUG ", "clerk", "signature_mismatch", "401"],
        [" INFO ", "stripe", "signature_mismatch", "401"],
        [" INFO ", "nobody", "unknown_source", "404"],
        [" DEBUG ", "no-one", "unknown_source", "404"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
    for secret in ["ada@example.com", "whsec", "v1,", "v1="] {
        assert!(!log.contains(secret), "{log}");
    }
}
