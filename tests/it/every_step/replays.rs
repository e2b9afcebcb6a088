//! What operators have processed again.

use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{Mode, Operator};
use hookmirror::model::replay::{ReplayId, ReplayOrder, ReplayRate, ReplayScope};
use hookmirror::ops::replays::{self, ReplayError};
use hookmirror::store::StoreError;

use super::roles::LEASE;
use super::told::{checkout, nonsense, user};
use super::world::World;
use crate::support::given::for_real;

fn ada() -> Operator {
    Operator::parse("ada").unwrap()
}

fn everything(rate: u32) -> ReplayOrder {
    ReplayOrder {
        scope: ReplayScope {
            filter: EventFilter::default(),
            limit: None,
        },
        rate: ReplayRate::new(rate).unwrap(),
        operator: ada(),
    }
}

/// Two events about one user, which go one after the other, a payment, and one that fails again.
async fn given(world: &World) {
    world
        .given(&[
            user("msg_1", "user_a", 1),
            user("msg_2", "user_a", 2),
            checkout("evt_1", "cs_1", None, Some("user_a")),
            nonsense("msg_3"),
        ])
        .await;
}

/// An operator who is not sure looks first: two replays would be two.
async fn start(world: &World, rate: u32) {
    let order = everything(rate);
    world
        .act("start_replay", async || {
            if replays::list(&*world.store, 1).await?.is_empty() {
                let now = world.now();
                replays::order(&*world.store, &order, &for_real(), now).await?;
            }
            Ok::<_, StoreError>(())
        })
        .await;
}

/// Planned, started, leased, published, processed, settled.
pub(super) async fn a_replay_goes_to_its_end(world: &World) {
    given(world).await;
    world
        .act("plan_replay", async || {
            let now = world.now();
            replays::order(&*world.store, &everything(10), &Mode::DryRun, now).await
        })
        .await;
    start(world, 10).await;
    world.replay().await;
    world.deliver().await;
}

/// The same with the fewest events.
pub(super) async fn two_events_are_replayed(world: &World) {
    let events = [user("msg_1", "user_a", 1), user("msg_2", "user_a", 2)];
    world.given(&events).await;
    start(world, 10).await;
    world.replay().await;
}

/// Cancelled with one of its events on the queue.
pub(super) async fn a_replay_is_cancelled(world: &World) {
    given(world).await;
    start(world, 1).await;
    while world.queue.is_empty() {
        world.replay_once().await;
        world.clock.advance(LEASE);
    }
    let id = world.behind.list_replays(1).await.unwrap()[0].id;
    world
        .act("cancel_replay", async || cancel(world, id).await)
        .await;
    world.replay().await;
    world.deliver().await;
}

async fn cancel(world: &World, id: ReplayId) -> Result<(), ReplayError> {
    let now = world.now();
    let cancelled = replays::cancel(&*world.store, id, &ada(), &for_real(), now).await;
    cancelled.map(drop)
}
