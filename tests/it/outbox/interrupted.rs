//! A dispatcher that ends, or loses the database, at the worst moment.

use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::store::Store;

use super::{Bench, metadata};
use crate::support::clerk::Answer;
use crate::support::faults::{Call, When};
use crate::support::given::{at, mirror, user, user_id};

#[tokio::test]
async fn a_crash_between_the_call_and_its_record_sends_again() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    let user = user_id("user_a");
    bench.clerk.answer(&user, Answer::Silence);
    tokio::select! {
        round = bench.try_round() => panic!("{round:?}"),
        () = bench.clerk.called() => {}
    }
    // Clerk has it, and nobody here knows.
    assert_eq!(bench.stripe(&user), metadata("paid", true));
    let entry = bench.entry("user_a").await;
    assert_eq!(entry.state, DeliveryState::Pending);
    assert_eq!(entry.delivered, None);
    assert_eq!(bench.round().await.leased, 0, "the lease still holds");

    bench.jump_to_next_due().await;
    assert_eq!(bench.round().await.leased, 1);
    assert_eq!(bench.calls_for("user_a"), 2);
    assert_eq!(bench.stripe(&user), metadata("paid", true));
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_change_during_a_crash_wins() {
    let bench = Bench::new().await;
    bench.unpaid("user_a").await;
    let user = user_id("user_a");
    bench.clerk.answer(&user, Answer::Silence);
    tokio::select! {
        round = bench.try_round() => panic!("{round:?}"),
        () = bench.clerk.called() => {}
    }
    bench.paid(&["user_a"]).await;
    bench.jump_to_next_due().await;
    bench.round().await;
    assert_eq!(bench.stripe(&user), metadata("paid", true));
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
}

#[tokio::test]
async fn an_unrecorded_delivery_is_repeated_after_the_lease() {
    for when in [When::Before, When::After] {
        let bench = Bench::new().await;
        bench.paid(&["user_a", "user_b"]).await;
        bench.faults.fail_nth(1, Call::Settle, when);
        assert!(bench.try_round().await.is_err());
        // Its neighbour was not held up.
        assert_eq!(bench.clerk.calls().len(), 2);

        bench.clock.advance(Duration::from_secs(120));
        bench.round().await;
        for user in ["user_a", "user_b"] {
            assert_eq!(bench.state(user).await, DeliveryState::Delivered);
            assert_eq!(bench.stripe(&user_id(user)), metadata("paid", true));
        }
        let repeated = if when == When::Before { 3 } else { 2 };
        assert_eq!(bench.clerk.calls().len(), repeated);
    }
}

#[tokio::test]
async fn a_database_that_is_away_sends_nothing() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    bench.faults.break_down(Call::Lease, When::Before);
    assert!(bench.try_round().await.is_err());
    assert!(bench.clerk.calls().is_empty());
    bench.faults.mend(Call::Lease);
    assert_eq!(bench.round().await.leased, 1);
}

/// Whoever was held up for most of its lease must not send an old state after somebody else's newer
/// one.
#[tokio::test]
async fn a_spent_lease_is_not_used() {
    let bench = Bench::new().await;
    // More than go out at once; the first calls take almost as long as the leases last.
    let users: Vec<String> = (0..9).map(|number| format!("user_{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    bench.paid(&users).await;
    let slow = async {
        for _ in 0..8 {
            bench.clerk.called().await;
        }
        bench.clock.advance(Duration::from_secs(55));
    };
    for user in &users[..8] {
        bench.clerk.answer(&user_id(user), Answer::Released);
    }
    let release = async {
        slow.await;
        bench.clerk.release(8);
    };
    let (round, ()) = tokio::join!(bench.round(), release);
    assert_eq!(round.leased, 9);
    assert_eq!(bench.calls_for("user_8"), 0);
    let entry = bench.entry("user_8").await;
    assert_eq!(entry.failures, 0);
    assert_eq!(entry.next_attempt_at, Some(bench.clock.now()));

    bench.round().await;
    assert_eq!(bench.state("user_8").await, DeliveryState::Delivered);
    assert!(bench.clock.now() < at(60));
    assert!(bench.store.undelivered(10).await.unwrap().is_empty());
}

/// Clerk's answer can be older than what its webhook has told meanwhile.
#[tokio::test]
async fn a_user_who_appears_during_the_call_is_not_given_up() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    let user_a = user_id("user_a");
    bench.clerk.answer(&user_a, Answer::ReleasedStatus(404));
    let appears = async {
        bench.clerk.called().await;
        let seen = [mirror("msg_1", user("user_a", 1, "Ann"))];
        bench.store.apply(&seen, bench.clock.now()).await.unwrap();
        bench.clerk.release(1);
    };
    tokio::join!(bench.round(), appears);
    assert_eq!(bench.state("user_a").await, DeliveryState::Pending);
    assert_eq!(bench.round().await.leased, 0, "not at once");

    bench.jump_to_next_due().await;
    bench.round().await;
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
    assert_eq!(bench.stripe(&user_a), metadata("paid", true));
}
