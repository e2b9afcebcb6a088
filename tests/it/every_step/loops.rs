//! The loops in which roles run by themselves, and what they ask for between two turns.

use std::sync::Arc;

use hookmirror::model::entitlement::Policy;
use hookmirror::model::outbox::Recipients;
use hookmirror::model::source::Provider;
use hookmirror::worker::Reassessment;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::roles::BACKOFF;
use super::steps::Seen;
use super::told::{checkout, late_subscription};
use super::world::World;

/// Lets a role run until a turn of its is over, then asks it to end.
async fn run_until(
    world: &World,
    over: impl Fn(&Seen) -> bool,
    run: impl Future<Output = ()>,
    stop: &CancellationToken,
) {
    let stopping = async {
        world.steps.until(over).await;
        stop.cancel();
    };
    world.drive(async { tokio::join!(run, stopping) }).await;
}

/// The scheduler sleeps until the next attempt is due.
pub(super) async fn the_scheduler_runs_by_itself(world: &World) {
    world.know(&[Provider::Clerk]);
    world
        .given(&[checkout("evt_1", "cs_1", None, Some("user_a"))])
        .await;
    world.know(&Provider::ALL);
    while let Some(due) = world.behind.next_retry_due().await.unwrap() {
        world.go_on_until(due);
        let asked = world.steps.seen().times_made("next_retry_due");
        let stop = CancellationToken::new();
        let over = |seen: &Seen| seen.times_made("next_retry_due") > asked && seen.under_way == 0;
        run_until(world, over, world.scheduler().run(stop.clone()), &stop).await;
        world.work().await;
    }
}

/// The dispatcher sleeps until something is due.
pub(super) async fn the_dispatcher_runs_by_itself(world: &World) {
    world
        .given(&[checkout("evt_1", "cs_1", None, Some("user_a"))])
        .await;
    let next_due = async || {
        world
            .behind
            .next_outbox_due(&Recipients::All)
            .await
            .unwrap()
    };
    while let Some(due) = next_due().await {
        world.go_on_until(due);
        let asked = world.steps.seen().times_made("next_outbox_due");
        let stop = CancellationToken::new();
        // Asked before its call, and after it.
        let over =
            |seen: &Seen| seen.times_made("next_outbox_due") > asked + 1 && seen.under_way == 0;
        let bell = Arc::new(Notify::new());
        let run = world.dispatcher(BACKOFF).run(bell, stop.clone());
        run_until(world, over, run, &stop).await;
    }
}

/// A worker starts by whose settings a late renewal ends access.
pub(super) async fn another_policy_is_heeded(world: &World) {
    world
        .given(&[late_subscription("evt_1", "sub_1", "user_a")])
        .await;
    let strict = world
        .with_policy(Policy {
            past_due_is_paid: false,
        })
        .await;
    while world.steps.seen().times_done("reassess") == 0 {
        let reassessment = Reassessment {
            store: Arc::clone(&strict),
            clock: world.clock(),
            outbox_bells: Vec::new(),
            backoff: BACKOFF,
        };
        let stop = CancellationToken::new();
        let over = |seen: &Seen| seen.times_done("reassess") > 0 && seen.under_way == 0;
        run_until(world, over, reassessment.run(stop.clone()), &stop).await;
    }
    world.deliver().await;
}
