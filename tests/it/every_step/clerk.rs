//! From the database to Clerk.

use std::time::Duration;

use super::told::checkout;
use super::world::World;
use crate::support::clerk::Answer;
use crate::support::given::user_id;

async fn paid(world: &World, users: &[&str]) {
    let events: Vec<_> = users
        .iter()
        .map(|user| {
            let (event, session) = (format!("evt_{user}"), format!("cs_{user}"));
            checkout(&event, &session, None, Some(user))
        })
        .collect();
    world.given(&events).await;
}

/// One user whom Clerk takes at once, one after a pause, one whose metadata it refuses, and one whom it
/// does not know.
pub(super) async fn metadata_is_delivered_or_not(world: &World) {
    paid(world, &["user_a", "user_b", "user_c", "user_d"]).await;
    let pause = Duration::from_secs(20);
    let throttled = Answer::Throttled(Some(pause));
    world.clerk.answer(&user_id("user_b"), throttled);
    for _ in 0..20 {
        world.clerk.answer(&user_id("user_c"), Answer::Status(422));
    }
    world.clerk.lose(&user_id("user_d"));
    world.deliver().await;
}

/// It is tried with one user at a time, and all goes on when it is accepted.
pub(super) async fn a_key_is_refused_for_a_while(world: &World) {
    paid(world, &["user_a", "user_b"]).await;
    world.clerk.revoke_key(true);
    world.deliver_rounds(3).await;
    world.clerk.revoke_key(false);
    world.deliver().await;
}
