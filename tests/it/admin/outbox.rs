//! The same deeds as by command, and the same record of them.

use serde_json::json;

use super::door::Door;
use crate::support::database;
use crate::support::given::{at, record, session_of};

#[tokio::test]
async fn a_deed_is_tried_explained_done_and_recorded() {
    let database = database::sqlite().await;
    let store = database.store.clone();
    let batch = [record("evt_1", session_of("cs_1", "user_a"))];
    store.apply(&batch, at(0)).await.unwrap();
    let door = Door::of(Some(store));
    let path = "/api/v1/outbox/discard";

    let tried = door.post(path, &json!({"users": ["user_a"]})).await;
    assert_eq!(
        (
            &tried.body["action"]["matched"],
            &tried.body["action"]["changed"]
        ),
        (&json!(1), &json!(0))
    );
    assert_eq!(tried.body["action"]["dry_run"], true);
    let unexplained = door
        .post(path, &json!({"users": ["user_a"], "execute": true}))
        .await;
    assert_eq!(unexplained.message(), "reason: to execute, say why");
    let done = json!({"users": ["user_a"], "execute": true, "reason": "test account",
        "operator": "ann"});
    let done = door.post(path, &done).await;
    assert_eq!(
        (
            &done.body["action"]["changed"],
            &done.body["action"]["operator"]
        ),
        (&json!(1), &json!("ann"))
    );

    let entry = door.get("/api/v1/outbox/user_a").await;
    assert_eq!(entry.body["state"], "discarded");
    let waiting = door.get("/api/v1/outbox").await;
    assert_eq!(waiting.body["entries"], json!([]));
    let actions = door.get("/api/v1/actions").await;
    let kinds: Vec<(&str, bool)> = actions.body["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| {
            (
                action["action"].as_str().unwrap(),
                action["dry_run"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(kinds, [("outbox discard", false), ("outbox discard", true)]);
}
