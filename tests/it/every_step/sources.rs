//! A source whose events are put aside for a while.

use hookmirror::model::operator::Operator;
use hookmirror::model::pause::SourceChange;
use hookmirror::model::source::Provider;
use hookmirror::ops::sources::{self, Request};

use super::told::{checkout, user};
use super::world::World;
use crate::support::given::for_real;

async fn change(world: &World, change: SourceChange) {
    let configured = Provider::ALL.map(Into::into);
    world
        .act("change_sources", async || {
            let request = Request {
                change,
                sources: vec![Provider::Stripe.into()],
                operator: Operator::parse("ada").unwrap(),
                mode: for_real(),
            };
            sources::change(&*world.store, &configured, request, world.now()).await
        })
        .await;
}

/// Paused, put aside, resumed, taken up again.
pub(super) async fn a_source_is_paused_and_resumed(world: &World) {
    change(world, SourceChange::Pause).await;
    for event in [
        user("msg_1", "user_a", 1),
        checkout("evt_1", "cs_1", None, Some("user_a")),
        checkout("evt_2", "cs_2", None, Some("user_b")),
    ] {
        world.queue.put(event);
    }
    world.work().await;
    world.release().await;
    change(world, SourceChange::Resume).await;
    world.release().await;
    world.retry().await;
    world.deliver().await;
}
