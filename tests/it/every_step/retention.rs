//! What goes by itself.

use std::time::Duration;

use hookmirror::model::retention::RetentionPolicy;
use hookmirror::retention::Sweeper;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use super::roles::BACKOFF;
use super::told::{checkout, deletion, user};
use super::world::World;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);

/// One sweep, and another if it was cut off. Each has done whole steps.
async fn sweep(world: &World) {
    loop {
        let sweeper = Sweeper {
            store: Arc::clone(&world.store),
            policy: RetentionPolicy {
                payloads: Some(90 * DAY),
                events: Some(365 * DAY),
                deleted: Some(30 * DAY),
            },
            clock: world.clock(),
            backoff: BACKOFF,
        };
        let never = CancellationToken::new();
        if let Some(Ok(_)) = world.drive(async { sweeper.sweep(&never).await }).await {
            return;
        }
    }
}

async fn given(world: &World) {
    world
        .given(&[
            user("msg_1", "user_a", 1),
            checkout("evt_1", "cs_1", None, Some("user_a")),
            deletion("msg_2", "user_a", 2),
            user("msg_3", "user_b", 1),
        ])
        .await;
}

/// A person is gone, then old payloads, then old events.
pub(super) async fn what_is_old_goes(world: &World) {
    given(world).await;
    for later in [30 * DAY, HOUR, 60 * DAY, 275 * DAY] {
        world.clock.advance(later);
        sweep(world).await;
    }
}

/// Nobody has swept for a year.
pub(super) async fn all_that_is_old_goes_at_once(world: &World) {
    given(world).await;
    world.clock.advance(366 * DAY);
    sweep(world).await;
}
