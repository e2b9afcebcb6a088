//! From the providers to the database.

use std::time::Duration;

use axum::body::Body;
use hookmirror::ingress::{self, IngressState, Limits};
use hookmirror::model::event::Event;
use hookmirror::model::source::Provider;
use hookmirror::provider::{self, Verifier};
use hookmirror::queue::{CauseOfDeath, DeadLetter};
use hookmirror::traces::Traces;
use http::{Request, StatusCode};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;

use super::told::{checkout, nonsense, unhandled, user};
use super::world::World;

const SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";

/// A provider that sends until it is thanked, once to each of two sources; and somebody who asks
/// whether that would do. P1: who is thanked finds the event in the queue or in the ledger.
pub(super) async fn two_providers_are_let_in(world: &World) {
    let sent = [
        (Provider::Clerk, user("msg_1", "user_a", 1)),
        (
            Provider::Stripe,
            checkout("evt_1", "cs_1", None, Some("user_a")),
        ),
    ];
    let ready = || Request::get("/readyz").body(Body::empty()).unwrap();
    while ask(world, ready()).await != Some(StatusCode::OK) {}
    for (provider, event) in sent {
        while ask(world, post(world, provider, &event)).await != Some(StatusCode::ACCEPTED) {}
        let queued = world.queue.keys().contains(&event.key);
        let recorded = world.behind.find_event(&event.key).await.unwrap();
        if !queued && recorded.is_none() {
            world.fail("thanked for nothing");
        }
    }
    world.work().await;
    world.deliver().await;
}

/// One request on a connection of its own. `None`: the process is gone, and the connection with it.
async fn ask(world: &World, request: Request<Body>) -> Option<StatusCode> {
    let secrets = [SecretString::from(SECRET)];
    let verifiers = Provider::ALL.map(|provider| {
        Verifier::new(provider.into(), &secrets, Duration::from_secs(300)).unwrap()
    });
    let state = IngressState::new(
        verifiers.into(),
        world.publisher(),
        world.clock(),
        Limits::default(),
        Traces::default(),
    );
    let service = TowerToHyperService::new(ingress::router(state));
    let answer = world.drive(service.call(request)).await?;
    Some(answer.unwrap().status())
}

fn post(world: &World, provider: Provider, event: &Event) -> Request<Body> {
    let secret = SecretString::from(SECRET);
    let now = world.now();
    let headers = provider::sign(provider, &secret, &event.key.id, now, &event.body).unwrap();
    let mut request = Request::post(format!("/webhooks/{provider}"))
        .body(Body::from(event.body.clone()))
        .unwrap();
    *request.headers_mut() = headers;
    request
}

/// A user and a payment, and among them what cannot be used, what is not used, and a duplicate.
pub(super) async fn a_batch_of_all_sorts(world: &World) {
    for event in [
        user("msg_1", "user_a", 1),
        nonsense("msg_2"),
        checkout("evt_1", "cs_1", None, Some("user_a")),
        user("msg_1", "user_a", 1),
        unhandled("msg_3"),
        user("msg_4", "user_a", 2),
    ] {
        world.queue.put(event);
    }
    world.work().await;
    world.deliver().await;
}

/// The settings reach the workers after the first events.
pub(super) async fn an_unknown_source_is_known_later(world: &World) {
    world.know(&[Provider::Clerk]);
    world
        .queue
        .put(checkout("evt_1", "cs_1", None, Some("user_a")));
    world.queue.put(checkout("evt_2", "cs_2", None, None));
    world.work().await;
    world.know(&Provider::ALL);
    world.retry().await;
    world.deliver().await;
}

/// Nobody knows whose it is, until another payment by the same customer tells.
pub(super) async fn a_payment_waits_for_its_user(world: &World) {
    world
        .queue
        .put(checkout("evt_1", "cs_1", Some("cus_1"), None));
    world.work().await;
    let told = checkout("evt_2", "cs_2", Some("cus_1"), Some("user_a"));
    world.queue.put(told);
    world.work().await;
    world.deliver().await;
}

/// What the queue gave up on: one that workers never finished, and one that they had.
pub(super) async fn a_dead_letter_is_recorded(world: &World) {
    let finished = user("msg_1", "user_a", 1);
    world.given(std::slice::from_ref(&finished)).await;
    for event in [finished, user("msg_2", "user_a", 2)] {
        let cause = CauseOfDeath::TooManyDeliveries;
        world.queue.bury(DeadLetter { event, cause });
    }
    world.drain().await;
}

/// The worker waits with the batch in hand.
pub(super) async fn the_database_is_away_for_a_moment(world: &World) {
    world.queue.put(user("msg_1", "user_a", 1));
    world.steps.break_the_next_batch();
    world.work().await;
}
