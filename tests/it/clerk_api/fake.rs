//! The client against the fake of the tests, over real HTTP: what the fake claims to do, it does.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::clerk_api::http::HttpClerkApi;
use hookmirror::clerk_api::{ClerkApi, ClerkApiError, Disposition};
use hookmirror::model::user::UserId;
use serde_json::json;

use crate::support::clerk::limits::StrictLimits;
use crate::support::clerk::server::ClerkServer;
use crate::support::clerk::{Answer, FakeClerk};
use crate::support::clock::ManualClock;
use crate::support::given::{at, user_id};

const KEY: &str = "sk_test_fake";
const TIMEOUT: Duration = Duration::from_millis(300);

struct Scene {
    clerk: Arc<FakeClerk>,
    api: HttpClerkApi,
    user: UserId,
    server: ClerkServer,
}

impl Scene {
    async fn new(clerk: FakeClerk) -> Self {
        let clerk = Arc::new(clerk);
        let server = ClerkServer::start(Arc::clone(&clerk), KEY).await;
        Self {
            api: HttpClerkApi::with_timeout(&server.api_url(), KEY.into(), TIMEOUT).unwrap(),
            user: user_id("user_a"),
            clerk,
            server,
        }
    }

    async fn merge(&self, patch: serde_json::Value) -> Result<(), Disposition> {
        let result = self
            .api
            .merge_public_metadata(&self.user, &patch, None)
            .await;
        result.map_err(|error| error.disposition())
    }
}

#[tokio::test]
async fn it_merges_deeply_and_holds_metadata_to_eight_kibibytes() {
    let scene = Scene::new(FakeClerk::default()).await;
    scene
        .merge(json!({ "a": { "b": 1, "c": 2 } }))
        .await
        .unwrap();
    scene.merge(json!({ "a": { "b": null } })).await.unwrap();
    assert_eq!(
        scene.clerk.metadata(&scene.user),
        json!({ "a": { "c": 2 } })
    );
    let much = json!({ "d": "x".repeat(8192) });
    assert_eq!(scene.merge(much).await, Err(Disposition::Park));
    assert_eq!(
        scene.clerk.metadata(&scene.user),
        json!({ "a": { "c": 2 } })
    );
}

#[tokio::test]
async fn it_knows_users_and_keys() {
    let scene = Scene::new(FakeClerk::default()).await;
    let wrong = HttpClerkApi::new(&scene.server.api_url(), "sk_test_other".into()).unwrap();
    let error = wrong
        .merge_public_metadata(&scene.user, &json!({}), None)
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(&error, ClerkApiError::Answered { status: 401, code, .. } if code == "clerk_key_invalid")
    );
    scene.clerk.revoke_key(true);
    assert_eq!(scene.merge(json!({})).await, Err(Disposition::KeyRefused));
    scene.clerk.revoke_key(false);
    scene.merge(json!({})).await.unwrap();
    scene.clerk.lose(&scene.user);
    assert_eq!(scene.merge(json!({})).await, Err(Disposition::UserGone));
}

#[tokio::test]
async fn it_fails_in_every_way() {
    let scene = Scene::new(FakeClerk::default()).await;
    for (answer, expected, merged) in [
        (Answer::Status(409), Disposition::Retry, false),
        (Answer::Status(503), Disposition::Retry, false),
        (Answer::Status(422), Disposition::Park, false),
        (
            Answer::Throttled(Some(Duration::from_secs(7))),
            Disposition::Throttled(Some(Duration::from_secs(7))),
            false,
        ),
        (Answer::CutOff, Disposition::Retry, true),
        (Answer::Silence, Disposition::Retry, true),
    ] {
        let before = scene.clerk.metadata(&scene.user);
        scene.clerk.answer(&scene.user, answer);
        let patch = json!({ format!("{answer:?}"): 1 });
        assert_eq!(scene.merge(patch).await, Err(expected), "{answer:?}");
        let changed = scene.clerk.metadata(&scene.user) != before;
        assert_eq!(changed, merged, "{answer:?}");
    }
}

/// Requests arrive up to 50 ms after they were sent.
#[tokio::test]
async fn it_is_strict_about_its_limits() {
    let clock = Arc::new(ManualClock::new(at(0)));
    let scene = Scene::new(FakeClerk::limited(StrictLimits::new(&clock, 5, 3))).await;
    for _ in 0..3 {
        scene.merge(json!({})).await.unwrap();
    }
    let Err(Disposition::Throttled(Some(wait))) = scene.merge(json!({})).await else {
        panic!("the fourth write to one user");
    };
    assert!((9..=10).contains(&wait.as_secs()), "{wait:?}");
    // After a refusal nobody gets in.
    let other = user_id("user_b");
    assert!(
        scene
            .api
            .merge_public_metadata(&other, &json!({}), None)
            .await
            .is_err()
    );
    clock.advance(wait + Duration::from_secs(1));
    for number in 0..5 {
        let user = user_id(&format!("user_{number}"));
        let result = scene
            .api
            .merge_public_metadata(&user, &json!({}), None)
            .await;
        result.unwrap();
    }
    let result = scene
        .api
        .merge_public_metadata(&other, &json!({}), None)
        .await;
    assert!(result.is_err(), "the sixth write to one instance");
    assert_eq!(scene.clerk.throttled(), 3);
}
