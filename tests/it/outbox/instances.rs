//! Several Clerk instances, each with a dispatcher of its own.

use std::sync::Arc;

use hookmirror::model::outbox::Recipients;
use hookmirror::model::source::SourceName;
use hookmirror::outbox::Dispatcher;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::given::{mirror, user};

fn of(instance: &str, strangers: bool) -> Recipients {
    Recipients::Of {
        instance: SourceName::parse(instance).unwrap(),
        strangers,
    }
}

/// A paid user is first taken for one of the first instance, which does not know it; when the second
/// one tells of the user, that is where the metadata goes.
#[tokio::test]
async fn whoever_turns_out_to_be_of_another_instance_is_delivered_there() {
    let bench = Bench::new().await;
    let (first, second) = (Arc::clone(&bench.clerk), Arc::new(FakeClerk::default()));
    let at_first = bench.another(BACKOFF, NO_LIMITS).serving(of("clerk", true));
    let store: Arc<FaultyStore> = Arc::clone(&bench.store);
    let clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
    let clerk = Arc::clone(&second) as _;
    let at_second =
        Dispatcher::new(store, clerk, clock, BACKOFF, NO_LIMITS).serving(of("clerk-eu", false));
    let stop = CancellationToken::new();
    let id = user_id("user_a");

    first.lose(&id);
    bench.paid(&["user_a"]).await;
    assert_eq!(at_second.round(&stop).await.unwrap().leased, 0);
    assert_eq!(at_first.round(&stop).await.unwrap().leased, 1);
    assert_eq!(bench.state("user_a").await, DeliveryState::UserGone);

    let mut mirrored = mirror("msg_1", user("user_a", 1, "Ann"));
    mirrored.event.key.source = SourceName::parse("clerk-eu").unwrap();
    let now = bench.clock.now();
    bench.store.apply(&[mirrored], now).await.unwrap();
    assert_eq!(at_first.round(&stop).await.unwrap().leased, 0);
    assert_eq!(at_second.round(&stop).await.unwrap().leased, 1);
    assert_eq!(bench.state("user_a").await, DeliveryState::Delivered);
    assert_eq!(second.metadata(&id)["stripe"], metadata("paid", true));
}

/// A key that one instance refuses is no reason for the other to wait.
#[tokio::test]
async fn a_refused_key_stops_its_own_instance_only() {
    let bench = Bench::new().await;
    let second = Arc::new(FakeClerk::default());
    let at_first = bench.another(BACKOFF, NO_LIMITS).serving(of("clerk", true));
    let store: Arc<FaultyStore> = Arc::clone(&bench.store);
    let clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
    let clerk = Arc::clone(&second) as _;
    let at_second =
        Dispatcher::new(store, clerk, clock, BACKOFF, NO_LIMITS).serving(of("clerk-eu", false));
    let stop = CancellationToken::new();

    bench.clerk.revoke_key(true);
    let mut mirrored = mirror("msg_1", user("user_eu", 1, "Ann"));
    mirrored.event.key.source = SourceName::parse("clerk-eu").unwrap();
    let now = bench.clock.now();
    bench.store.apply(&[mirrored], now).await.unwrap();
    bench.paid(&["user_main", "user_eu"]).await;
    assert!(at_first.round(&stop).await.unwrap().pause.is_some());
    assert_eq!(at_second.round(&stop).await.unwrap().pause, None);
    assert_eq!(bench.state("user_main").await, DeliveryState::Pending);
    assert_eq!(bench.state("user_eu").await, DeliveryState::Delivered);
}
