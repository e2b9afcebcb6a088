//! The client against the stand-in, and the stand-in against what Clerk documents.

use hookmirror::clerk_api::http::HttpClerkApi;
use hookmirror::clerk_api::{ClerkApi, ClerkApiError, Disposition};
use hookmirror::cli::demo::clerk_rules::merged;
use hookmirror::cli::demo::stand_in_clerk::{StandInClerk, start};
use hookmirror::model::user::UserId;
use proptest::prelude::*;
use serde_json::{Value, json};

const KEY: &str = "sk_test_stand_in";

async fn stand_in() -> (StandInClerk, HttpClerkApi) {
    let clerk = start(KEY.into()).await.unwrap();
    let api = HttpClerkApi::new(&clerk.api_url(), KEY.into()).unwrap();
    (clerk, api)
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

/// Status and code of a refusal.
fn refusal(result: Result<(), ClerkApiError>) -> (u16, String) {
    match result.unwrap_err() {
        ClerkApiError::Answered { status, code, .. } => (status, code),
        other => panic!("no answer: {other:?}"),
    }
}

#[tokio::test]
async fn metadata_is_merged_and_taken_back() {
    let (clerk, api) = stand_in().await;
    let ada = user("user_ada");
    clerk.add_user(&ada);
    assert_eq!(clerk.metadata_of(&ada), Some(json!({})));

    let steps = [
        (json!({ "plan": "gold" }), json!({ "plan": "gold" })),
        (
            json!({ "stripe": { "paid": true, "payment": "paid" } }),
            json!({ "plan": "gold", "stripe": { "paid": true, "payment": "paid" } }),
        ),
        (
            json!({ "stripe": { "paid": false } }),
            json!({ "plan": "gold", "stripe": { "paid": false, "payment": "paid" } }),
        ),
        (json!({ "stripe": null }), json!({ "plan": "gold" })),
    ];
    for (patch, expected) in &steps {
        api.merge_public_metadata(&ada, patch, None).await.unwrap();
        assert_eq!(clerk.metadata_of(&ada).as_ref(), Some(expected));
    }
    assert_eq!(clerk.writes(), steps.len() as u64);
    clerk.add_user(&ada);
    assert_eq!(clerk.metadata_of(&ada), Some(json!({ "plan": "gold" })));
}

#[tokio::test]
async fn an_id_stays_one_segment_of_the_address() {
    let (clerk, api) = stand_in().await;
    let odd = user("user_a/../b?c=d#e%2Ff");
    clerk.add_user(&odd);
    api.merge_public_metadata(&odd, &json!({ "a": 1 }), None)
        .await
        .unwrap();
    assert_eq!(clerk.metadata_of(&odd), Some(json!({ "a": 1 })));

    for id in [".", ".."] {
        let error = api
            .merge_public_metadata(&user(id), &json!({}), None)
            .await
            .unwrap_err();
        assert!(matches!(error, ClerkApiError::Unaddressable));
    }
    assert_eq!(clerk.writes(), 1);
}

#[tokio::test]
async fn users_that_do_not_exist_are_gone() {
    let (clerk, api) = stand_in().await;
    let ada = user("user_ada");
    let error = api
        .merge_public_metadata(&ada, &json!({}), None)
        .await
        .unwrap_err();
    assert_eq!(error.disposition(), Disposition::UserGone);
    assert_eq!(refusal(Err(error)), (404, "resource_not_found".to_owned()));

    clerk.add_user(&ada);
    clerk.remove_user(&ada);
    let result = api.merge_public_metadata(&ada, &json!({}), None).await;
    assert_eq!(refusal(result).0, 404);
    assert_eq!(clerk.metadata_of(&ada), None);
    assert_eq!(clerk.writes(), 0);
}

#[tokio::test]
async fn another_key_is_refused() {
    let (clerk, _) = stand_in().await;
    let ada = user("user_ada");
    clerk.add_user(&ada);
    let api = HttpClerkApi::new(&clerk.api_url(), "sk_test_other".into()).unwrap();
    let error = api
        .merge_public_metadata(&ada, &json!({ "a": 1 }), None)
        .await
        .unwrap_err();
    assert_eq!(error.disposition(), Disposition::KeyRefused);
    assert_eq!(refusal(Err(error)), (401, "clerk_key_invalid".to_owned()));
    assert_eq!(clerk.metadata_of(&ada), Some(json!({})));
}

#[tokio::test]
async fn metadata_is_held_to_eight_kibibytes() {
    let (clerk, api) = stand_in().await;
    let ada = user("user_ada");
    clerk.add_user(&ada);
    let overhead = json!({ "a": "" }).to_string().len();
    let fits = json!({ "a": "x".repeat(8192 - overhead) });
    api.merge_public_metadata(&ada, &fits, None).await.unwrap();

    let result = api
        .merge_public_metadata(&ada, &json!({ "b": 1 }), None)
        .await;
    let expected = (422, "form_param_exceeds_allowed_size".to_owned());
    assert_eq!(refusal(result), expected);
    assert_eq!(clerk.metadata_of(&ada), Some(fits));
}

#[tokio::test]
async fn bodies_that_clerk_would_refuse_are_refused() {
    let (clerk, _) = stand_in().await;
    let ada = user("user_ada");
    clerk.add_user(&ada);
    let url = format!("{}/users/user_ada/metadata", clerk.api_url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let table = [
        (
            r#"{"public_metadata":{},"surname":"x"}"#,
            422,
            "form_param_unknown",
        ),
        (
            r#"{"public_metadata":[]}"#,
            422,
            "form_param_format_invalid",
        ),
        ("not json", 400, "request_body_invalid"),
    ];
    for (body, status, code) in table {
        let request = client.patch(&url).bearer_auth(KEY).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{body}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errors"][0]["code"], code, "{body}");
    }
    let without_key = client.patch(&url).body("{}").send().await.unwrap();
    assert_eq!(without_key.status(), 401);

    let all = r#"{"public_metadata":{"a":1},"private_metadata":{"b":2},"unsafe_metadata":{"c":3}}"#;
    let request = client.patch(&url).bearer_auth(KEY).body(all);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["id"], "user_ada");
    assert_eq!(answer["private_metadata"], json!({ "b": 2 }));
    assert_eq!(clerk.metadata_of(&ada), Some(json!({ "a": 1 })));
}

#[test]
fn the_merge_by_example() {
    let table = [
        // (before, patch, after)
        (json!({}), json!({ "a": null }), json!({})),
        (
            json!({ "a": 1, "b": 2 }),
            json!({ "a": null }),
            json!({ "b": 2 }),
        ),
        (
            json!({ "a": { "b": 1 } }),
            json!({ "a": { "b": null } }),
            json!({ "a": {} }),
        ),
        (
            json!({ "a": 1 }),
            json!({ "a": { "b": null, "c": 2 } }),
            json!({ "a": { "c": 2 } }),
        ),
        (
            json!({ "a": { "b": 1 } }),
            json!({ "a": [null] }),
            json!({ "a": [null] }),
        ),
        (
            json!({ "a": [1, 2] }),
            json!({ "a": [3] }),
            json!({ "a": [3] }),
        ),
        (
            json!({ "a": { "b": 1 } }),
            json!({ "a": "x" }),
            json!({ "a": "x" }),
        ),
    ];
    for (before, patch, after) in table {
        assert_eq!(
            merged(before.clone(), &patch),
            after,
            "{before} with {patch}"
        );
    }
}

/// Objects over few keys, so that two of them meet.
fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        Just(json!([null, 1])),
    ];
    let value = leaf.prop_recursive(3, 16, 3, |inner| {
        prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| json!(map))
    });
    prop::collection::btree_map("[a-c]", value, 0..3).prop_map(|map| json!(map))
}

/// Whether each key of the patch came out as the patch says, and each other key as it was.
fn obeys(before: &Value, patch: &Value, after: &Value) -> bool {
    let Some(patch) = patch.as_object() else {
        return after == patch;
    };
    let keys = ["a", "b", "c"];
    after.is_object()
        && keys.iter().all(|key| match patch.get(*key) {
            None => after.get(key) == before.get(key),
            Some(Value::Null) => after.get(key).is_none(),
            Some(change) => after
                .get(key)
                .is_some_and(|after| obeys(before.get(key).unwrap_or(&Value::Null), change, after)),
        })
}

proptest! {
    #[test]
    fn a_patch_takes_effect_once(before in object(), patch in object()) {
        let once = merged(before.clone(), &patch);
        prop_assert!(obeys(&before, &patch, &once), "{before} with {patch} is {once}");
        prop_assert_eq!(merged(once.clone(), &patch), once);
    }
}
