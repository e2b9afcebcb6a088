//! What each answer of Clerk leads to.

use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::model::time::Timestamp;
use hookmirror::outbox::Round;
use hookmirror::store::Store;

use super::{BACKOFF, Bench, metadata};
use crate::support::clerk::Answer;
use crate::support::given::{delete, mirror, user, user_id};

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_is_due_is_delivered_once() {
    let bench = Bench::new().await;
    assert_eq!(bench.round().await, Round::default());
    bench.paid(&["user_a", "user_b"]).await;
    let round = bench.round().await;
    assert_eq!((round.leased, round.pause), (2, None));
    for user in ["user_a", "user_b"] {
        assert_eq!(bench.stripe(&user_id(user)), metadata("paid", true));
        assert_eq!(bench.state(user).await, DeliveryState::Delivered);
    }
    assert_eq!(bench.round().await.leased, 0);
    assert_eq!(bench.clerk.calls().len(), 2);
}

#[tokio::test]
async fn a_failure_is_tried_again_exactly_when_due() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    let user = user_id("user_a");
    let answers = [
        Answer::Status(500),
        Answer::CutOff,
        Answer::Status(409),
        Answer::Status(503),
    ];
    for answer in answers {
        bench.clerk.answer(&user, answer);
    }
    for failures in 0..4 {
        let round = bench.round().await;
        assert_eq!((round.leased, round.pause), (1, None));
        let entry = bench.entry("user_a").await;
        assert_eq!(entry.failures, failures + 1);
        assert!(entry.last_error.is_some());
        let wait = BACKOFF.of("user_a").full_jitter(failures);
        let due = bench.clock.now().plus(wait);
        assert_eq!(entry.next_attempt_at, Some(due));

        bench.clock.set(Timestamp::from_millis(due.as_millis() - 1));
        assert_eq!(bench.round().await.leased, 0, "a millisecond early");
        bench.clock.advance(MILLISECOND);
    }
    assert_eq!(bench.round().await.leased, 1);
    let entry = bench.entry("user_a").await;
    assert_eq!(entry.state, DeliveryState::Delivered);
    assert_eq!((entry.failures, entry.last_error), (0, None));
}

#[tokio::test]
async fn throttling_pauses_everyone_and_charges_nobody() {
    let bench = Bench::new().await;
    let users: Vec<String> = (0..30).map(|number| format!("user_{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    bench.paid(&users).await;
    let pause = Duration::from_secs(7);
    bench
        .clerk
        .answer_everyone(Some(Answer::Throttled(Some(pause))));
    let round = bench.round().await;
    assert_eq!((round.leased, round.pause), (30, Some(pause)));
    assert_eq!(bench.clerk.calls().len(), 1, "the first was throttled");

    bench.clerk.answer_everyone(None);
    bench.clock.advance(pause);
    for user in &users {
        let entry = bench.entry(user).await;
        assert_eq!(entry.state, DeliveryState::Pending);
        assert_eq!(entry.failures, 0);
    }
    assert_eq!(bench.round().await.leased, 30);
    for user in &users {
        assert_eq!(bench.state(user).await, DeliveryState::Delivered);
    }
}

/// Who asks for a round early, for whatever reason, gets none.
#[tokio::test]
async fn nothing_is_sent_before_the_pause_is_over() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    let pause = Duration::from_secs(7);
    let throttled = Answer::Throttled(Some(pause));
    bench.clerk.answer(&user_id("user_a"), throttled);
    bench.round().await;
    bench.paid(&["user_b"]).await;
    bench.clock.advance(pause - 2 * MILLISECOND);
    let round = bench.round().await;
    assert_eq!((round.leased, round.pause), (0, Some(MILLISECOND)));
    assert_eq!(bench.clerk.calls().len(), 1);
    bench.clock.advance(MILLISECOND);
    assert_eq!(bench.round().await.leased, 2);
}

#[tokio::test]
async fn the_pause_clerk_asks_for_has_bounds() {
    for (asked, kept) in [
        (Some(Duration::ZERO), Duration::from_secs(1)),
        (Some(Duration::from_secs(3599)), Duration::from_secs(3599)),
        (Some(Duration::from_secs(86_400)), HOUR),
        (Some(Duration::from_secs(u64::MAX)), HOUR),
        (None, Duration::from_secs(10)),
    ] {
        let bench = Bench::new().await;
        bench.paid(&["user_a"]).await;
        let user = user_id("user_a");
        bench.clerk.answer(&user, Answer::Throttled(asked));
        assert_eq!(bench.round().await.pause, Some(kept), "{asked:?}");
        let due = bench.entry("user_a").await.next_attempt_at;
        assert_eq!(due, Some(bench.clock.now().plus(kept)));
    }
}

#[tokio::test]
async fn an_unknown_user_is_left_alone_until_mirrored() {
    let bench = Bench::new().await;
    bench.paid(&["user_a", "user_b"]).await;
    bench.clerk.answer(&user_id("user_a"), Answer::Status(404));
    bench.round().await;
    assert_eq!(bench.state("user_a").await, DeliveryState::UserGone);
    assert_eq!(bench.state("user_b").await, DeliveryState::Delivered);
    bench.clock.advance(HOUR);
    assert_eq!(bench.round().await.leased, 0);

    let seen = [mirror("msg_1", user("user_a", 1, "Ann"))];
    bench.store.apply(&seen, bench.clock.now()).await.unwrap();
    bench.round().await;
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
    assert_eq!(bench.stripe(&user_id("user_a")), metadata("paid", true));
}

#[tokio::test]
async fn a_refused_content_is_parked_alone() {
    for status in [400, 422] {
        let bench = Bench::new().await;
        bench.paid(&["user_a", "user_b", "user_c"]).await;
        let refused = Answer::Status(status);
        bench.clerk.answer(&user_id("user_b"), refused);
        assert_eq!(bench.round().await.pause, None);
        assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
        assert_eq!(bench.state("user_b").await, DeliveryState::Parked);
        assert_eq!(bench.state("user_c").await, DeliveryState::Delivered);
        bench.clock.advance(HOUR);
        assert_eq!(bench.round().await.leased, 0);
    }
}

#[tokio::test]
async fn nothing_is_sent_for_a_deleted_user() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    let gone = [delete("msg_1", "user_a", 1)];
    bench.store.apply(&gone, bench.clock.now()).await.unwrap();
    bench.clock.advance(HOUR);
    assert_eq!(bench.round().await.leased, 0);
    assert!(bench.clerk.calls().is_empty());
}
