//! What operators do by hand. Each is done and recorded, or neither; see [`World::act`].

use std::collections::BTreeSet;
use std::time::Duration;

use hookmirror::model::failure::FailureChange;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::Operator;
use hookmirror::model::outbox::{DeliveryOutcome, Recipients};
use hookmirror::model::source::Provider;
use hookmirror::model::state::EventState;
use hookmirror::ops::outbox::{Retried, RetriedState};
use hookmirror::ops::{erasure, events, failures, outbox, payments, preview};
use hookmirror::worker::decide;

use super::roles::LEASE;
use super::told::{checkout, nonsense, user};
use super::world::World;
use crate::support::given::{for_real, user_id};

fn ada() -> Operator {
    Operator::parse("ada").unwrap()
}

fn in_state(state: EventState) -> EventFilter {
    EventFilter {
        states: vec![state],
        ..EventFilter::default()
    }
}

/// One event is tried again at once, and the other one given up on.
pub(super) async fn events_are_retried_and_discarded(world: &World) {
    world.know(&[Provider::Clerk]);
    world
        .given(&[checkout("evt_1", "cs_1", None, None), nonsense("msg_1")])
        .await;
    world.know(&Provider::ALL);
    world
        .act("change_events", async || {
            let filter = in_state(EventState::Retrying);
            let now = world.now();
            events::retry(&*world.store, &filter, ada(), for_real(), now).await
        })
        .await;
    world
        .act("change_events", async || {
            let filter = in_state(EventState::Failed);
            let now = world.now();
            events::discard(&*world.store, &filter, false, ada(), for_real(), now).await
        })
        .await;
    world.retry().await;
}

/// Refused metadata is sent again, and that of another user given up on.
pub(super) async fn metadata_is_sent_again_or_given_up(world: &World) {
    let users = ["user_a", "user_b"];
    for user in users {
        let (event, session) = (format!("evt_{user}"), format!("cs_{user}"));
        world
            .given(&[checkout(&event, &session, None, Some(user))])
            .await;
    }
    park(world).await;
    world.clock.advance(Duration::from_secs(1));
    world
        .act("change_outbox", async || {
            let user = vec![user_id("user_a")];
            outbox::discard(&*world.store, user, ada(), for_real(), world.now()).await
        })
        .await;
    world
        .act("change_outbox", async || {
            let what = Retried::State(RetriedState::Parked);
            outbox::retry(&*world.store, what, ada(), for_real(), world.now()).await
        })
        .await;
    world.deliver().await;
}

/// Clerk has refused all that there is.
async fn park(world: &World) {
    let until = world.now().plus(LEASE);
    let (store, all) = (&world.behind, Recipients::All);
    for lease in store
        .lease_outbox(&all, 10, world.now(), until)
        .await
        .unwrap()
    {
        let error = "refused".to_owned();
        let outcome = DeliveryOutcome::Parked { error };
        store
            .settle_outbox(&lease, &outcome, world.now())
            .await
            .unwrap();
    }
}

/// Where a group of failures stands.
pub(super) async fn failures_are_acknowledged_and_resolved(world: &World) {
    world.given(&[nonsense("msg_1"), nonsense("msg_2")]).await;
    let groups = world.behind.list_failures(&[], 10).await.unwrap();
    let groups: Vec<_> = groups.into_iter().map(|group| group.fingerprint).collect();
    let changes = [
        FailureChange::Acknowledge,
        FailureChange::Resolve,
        FailureChange::Reopen,
    ];
    for change in changes {
        world
            .act("change_failures", async || {
                let (groups, now) = (groups.clone(), world.now());
                failures::change(&*world.store, change, groups, ada(), for_real(), now).await
            })
            .await;
    }
}

/// A payment that names nobody is given to somebody.
pub(super) async fn a_payment_is_given_to_a_user(world: &World) {
    let waiting = checkout("evt_1", "cs_1", Some("cus_1"), None);
    world.given(&[user("msg_1", "user_a", 1), waiting]).await;
    world
        .act("attribute", async || {
            let request = payments::Request {
                payment: "cs_1".to_owned(),
                user: user_id("user_a"),
                reassign: false,
                unmirrored: false,
                operator: ada(),
                mode: for_real(),
            };
            payments::attribute(&*world.store, request, world.now()).await
        })
        .await;
    world.deliver().await;
}

/// Somebody looks at what a replay would change, which leaves a line in the record.
pub(super) async fn a_look_ahead_is_recorded(world: &World) {
    world.given(&[user("msg_1", "user_a", 1)]).await;
    let sources = world.sources();
    world
        .act("preview", async || {
            let request = preview::Request {
                filter: EventFilter::default(),
                limit: 10,
                reveal: false,
                operator: ada(),
            };
            let decide = |event| decide(&sources, event);
            preview::preview(&*world.store, &decide, request, world.now()).await
        })
        .await;
}

/// Payloads about a person go at once.
pub(super) async fn a_person_is_erased(world: &World) {
    world
        .given(&[
            user("msg_1", "user_a", 1),
            checkout("evt_1", "cs_1", None, Some("user_a")),
            user("msg_2", "user_b", 1),
        ])
        .await;
    world
        .act("erase", async || {
            let request = erasure::Request {
                subjects: BTreeSet::from(["user_a".to_owned()]),
                operator: ada(),
                mode: for_real(),
            };
            erasure::erase(&*world.store, request, world.now()).await
        })
        .await;
    world.deliver().await;
}
