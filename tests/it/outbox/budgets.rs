//! How much is sent, and to whom. Budgets are seen through rounds; nothing really waits.

use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::outbox::{Dispatcher, Round, WriteLimits};
use hookmirror::store::Store;
use tokio_util::sync::CancellationToken;

use super::{BACKOFF, Bench, NO_LIMITS};
use crate::support::given::{opened, record, session_of, user_id};

const WINDOW: i64 = 10_000;

async fn round(dispatcher: &Dispatcher) -> Round {
    dispatcher.round(&CancellationToken::new()).await.unwrap()
}

/// When each call is made, in milliseconds from the start, until nothing is left to send.
async fn calls_over_time(bench: &Bench, dispatcher: &Dispatcher) -> Vec<i64> {
    let start = bench.clock.now().as_millis();
    let mut calls = Vec::new();
    loop {
        let now = bench.clock.now().as_millis() - start;
        let round = round(dispatcher).await;
        calls.resize(bench.clerk.calls().len(), now);
        match round.pause {
            Some(pause) => bench.clock.advance(pause),
            None if round.leased > 0 => {}
            None => return calls,
        }
    }
}

async fn a_backlog(bench: &Bench, users: usize) {
    let batch: Vec<_> = (0..users)
        .map(|number| {
            let session = session_of(&format!("cs_{number}"), &format!("user_{number}"));
            record(&format!("evt_{number}"), session)
        })
        .collect();
    bench.store.apply(&batch, bench.clock.now()).await.unwrap();
}

#[tokio::test]
async fn no_window_holds_more_than_the_limit_and_little_less() {
    for limit in [2, 10, 40, 100] {
        let bench = Bench::new().await;
        let limits = WriteLimits {
            per_instance: limit,
            ..NO_LIMITS
        };
        let dispatcher = bench.another(BACKOFF, limits);
        let limit = limit as usize;
        a_backlog(&bench, 3 * limit + 5).await;
        let calls = calls_over_time(&bench, &dispatcher).await;
        assert_eq!(calls.len(), 3 * limit + 5);
        let in_window = |from: i64| {
            calls
                .iter()
                .filter(|call| (from..from + WINDOW).contains(*call))
                .count()
        };
        let most = calls.iter().map(|call| in_window(*call)).max().unwrap();
        assert!(most <= limit, "{most} of {limit} in ten seconds");
        let least = (limit * 9 / 10).max(1);
        let last = calls[calls.len() - 1] - WINDOW;
        for from in calls.iter().filter(|call| **call < last) {
            let sent = in_window(*from);
            assert!(sent >= least, "{sent} of {limit} in ten seconds");
        }
    }
}

/// A burst at the beginning would be followed by seconds in which nobody is served.
#[tokio::test]
async fn a_backlog_is_sent_evenly() {
    let bench = Bench::new().await;
    let limits = WriteLimits {
        per_instance: 100,
        ..NO_LIMITS
    };
    let dispatcher = bench.another(BACKOFF, limits);
    a_backlog(&bench, 150).await;
    let calls = calls_over_time(&bench, &dispatcher).await;
    let seconds = calls[calls.len() - 1] / 1000;
    for second in 0..seconds {
        let sent = calls.iter().filter(|call| **call / 1000 == second).count();
        assert!((9..=12).contains(&sent), "{sent} in second {second}");
    }
}

#[tokio::test]
async fn a_round_leases_no_more_than_may_be_sent() {
    let bench = Bench::new().await;
    let limits = WriteLimits {
        per_instance: 100,
        ..NO_LIMITS
    };
    let dispatcher = bench.another(BACKOFF, limits);
    bench.paid(&["user_a", "user_b", "user_c"]).await;
    let first = round(&dispatcher).await;
    assert_eq!(first.leased, 2, "the burst");
    let early = round(&dispatcher).await;
    assert_eq!(early.leased, 0);
    assert_eq!(early.pause, first.pause);
    // What was not leased is there for whoever has a budget.
    assert_eq!(bench.round().await.leased, 1);
}

/// The n-th change of what this user should have.
async fn change(bench: &Bench, user: &str, n: i64) {
    use hookmirror::model::payment::PaymentStatus;

    let mut session = opened(n, session_of(&format!("cs_{user}_{n}"), user));
    if n % 2 == 1 {
        session.payment = PaymentStatus::NoPaymentRequired;
    }
    let batch = [record(&format!("evt_{user}_{n}"), session)];
    bench.store.apply(&batch, bench.clock.now()).await.unwrap();
}

#[tokio::test]
async fn a_user_with_too_many_changes_waits_alone() {
    let bench = Bench::new().await;
    let limits = WriteLimits {
        per_user: 3,
        ..NO_LIMITS
    };
    let dispatcher = bench.another(BACKOFF, limits);
    let start = bench.clock.now();
    for n in 0..6 {
        change(&bench, "user_hot", n).await;
        round(&dispatcher).await;
        bench.clock.advance(Duration::from_millis(100));
    }
    assert_eq!(bench.calls_for("user_hot"), 3);
    let put_off = bench.entry("user_hot").await;
    assert_eq!(put_off.state, DeliveryState::Pending);
    assert_eq!((put_off.failures, put_off.last_error), (0, None));
    let free_again = start.plus(Duration::from_millis(10_500));
    assert_eq!(put_off.next_attempt_at, Some(free_again));

    bench.paid(&["user_a"]).await;
    round(&dispatcher).await;
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
    assert_eq!(bench.calls_for("user_hot"), 3);

    bench.clock.set(free_again);
    round(&dispatcher).await;
    assert_eq!(bench.state("user_hot").await, DeliveryState::Delivered);
    // The last of the changes, and only that.
    assert_eq!(bench.calls_for("user_hot"), 4);
    let payment = &bench.stripe(&user_id("user_hot"))["payment"];
    assert_eq!(payment, "no_payment_required");
}

#[tokio::test]
async fn a_clock_that_was_set_back_stops_nothing() {
    let bench = Bench::new().await;
    let limits = WriteLimits {
        per_instance: 2,
        per_user: 1,
    };
    let dispatcher = bench.another(BACKOFF, limits);
    let start = bench.clock.now();
    bench.clock.advance(Duration::from_secs(3600));
    change(&bench, "user_a", 0).await;
    assert_eq!(round(&dispatcher).await.leased, 1);
    bench.clock.set(start);
    change(&bench, "user_a", 1).await;
    assert_eq!(round(&dispatcher).await.leased, 0);
    // No more than the instance's budget takes to be there again.
    bench.clock.advance(Duration::from_secs(10));
    round(&dispatcher).await;
    assert_eq!(bench.calls_for("user_a"), 2);
}

#[tokio::test]
async fn dispatchers_have_budgets_and_figures_of_their_own() {
    use hookmirror::outbox::RequestOutcome;

    let bench = Bench::new().await;
    let limits = WriteLimits {
        per_instance: 10,
        per_user: 1,
    };
    let one = bench.another(BACKOFF, limits);
    let other = bench.another(BACKOFF, limits);
    bench.paid(&["user_a", "user_b"]).await;
    assert_eq!(round(&one).await.leased, 1);
    assert_eq!(round(&other).await.leased, 1);
    for dispatcher in [&one, &other] {
        assert_eq!(dispatcher.stats().requests(RequestOutcome::Delivered), 1);
    }
}
