//! A dispatcher that ends, or loses the database, at the worst moment.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::outbox::Dispatcher;
use hookmirror::store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{BACKOFF, Bench, NO_LIMITS, metadata};
use crate::support::clerk::Answer;
use crate::support::clock::ManualClock;
use crate::support::faults::{Call, When};
use crate::support::faulty_store::{Around, FaultyStore, StoreCall};
use crate::support::given::{mirror, user, user_id};

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
    bench.clock.advance(Duration::from_millis(29_999));
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

/// A database that takes this long to answer a lease.
#[derive(Debug)]
struct SlowLease {
    clock: Arc<ManualClock>,
    takes: Duration,
}

impl Around for SlowLease {
    async fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let result = work.await;
        if matches!(call, StoreCall::LeaseOutbox) {
            self.clock.advance(self.takes);
        }
        result
    }
}

/// Whoever was held up for most of its lease must not send an old state after somebody else's newer
/// one.
#[tokio::test]
async fn a_spent_lease_is_not_used() {
    let bench = Bench::new().await;
    bench.paid(&["user_a"]).await;
    let store = FaultyStore {
        inner: Arc::clone(&bench.store) as Arc<dyn Store>,
        faults: SlowLease {
            clock: Arc::clone(&bench.clock),
            takes: Duration::from_secs(11),
        },
    };
    let (clerk, clock) = (Arc::clone(&bench.clerk), Arc::clone(&bench.clock));
    let slow = Dispatcher::new(Arc::new(store), clerk, clock, BACKOFF, NO_LIMITS);
    let round = slow.round(&CancellationToken::new()).await.unwrap();
    assert_eq!(round.leased, 1);
    assert!(bench.clerk.calls().is_empty());
    let entry = bench.entry("user_a").await;
    assert_eq!(entry.failures, 0);
    assert_eq!(entry.next_attempt_at, Some(bench.clock.now()));

    bench.round().await;
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
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
