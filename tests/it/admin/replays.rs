//! Replays, ordered and watched over HTTP.

use http::StatusCode;
use serde_json::json;

use super::door::Door;
use crate::support::database;
use crate::support::given::{at, failing};

#[tokio::test]
async fn a_replay_is_planned_started_watched_and_cancelled() {
    let database = database::sqlite().await;
    let store = database.store.clone();
    let batch = ["evt_1", "evt_2"].map(|id| failing(id, "checkout.session.completed", "data"));
    store.apply(&batch, at(0)).await.unwrap();
    let door = Door::of(Some(store));
    let path = "/api/v1/replays";

    for unbounded in [
        json!({}),
        json!({"filter": {}}),
        json!({"all": true, "filter": {"state": ["failed"]}}),
    ] {
        let refused = door.post(path, &unbounded).await;
        assert_eq!(refused.code(), "invalid_request", "{unbounded}");
    }
    let odd = json!({"filter": {"state": ["broken"], "since": "yesterday"}});
    let odd = door.post(path, &odd).await;
    assert!(
        odd.message().contains("state: ") && odd.message().contains("since: "),
        "{odd:?}"
    );
    let mistyped = door
        .post(path, &json!({"filter": {"sate": ["failed"]}}))
        .await;
    assert!(
        mistyped.message().contains("unknown field `sate`"),
        "{mistyped:?}"
    );

    let wanted = json!({"state": ["failed"]});
    let plan = door.post(path, &json!({"filter": wanted})).await;
    assert_eq!(plan.status, StatusCode::OK, "{plan:?}");
    assert_eq!(
        (&plan.body["plan"]["events"], &plan.body["seconds"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(plan.body["action"]["dry_run"], true);
    assert_eq!(
        door.get(path).await.body["replays"],
        json!([]),
        "a plan starts nothing"
    );

    let order =
        json!({"filter": wanted, "limit": 1, "rate": 10, "execute": true, "reason": "mended"});
    let started = door.post(path, &order).await;
    let id = started.body["replay"].as_i64().unwrap();
    let status = door.get(&format!("{path}/{id}")).await;
    assert_eq!(
        (&status.body["state"], &status.body["total"]),
        (&json!("running"), &json!(1))
    );
    let figures = door.get("/metrics").await.text;
    let progress = format!("hookmirror_replay_progress{{replay=\"{id}\"}} 0.0\n");
    assert!(figures.contains(&progress), "{figures}");
    let events = door.get(&format!("{path}/{id}/events")).await;
    assert_eq!(events.body["events"][0]["event_id"], "evt_1");

    let cancel = json!({"execute": true, "reason": "not yet"});
    let cancelled = door.post(&format!("{path}/{id}/cancel"), &cancel).await;
    assert_eq!(cancelled.body["state"], "cancelled", "{cancelled:?}");
    let unknown = door.get(&format!("{path}/77")).await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (StatusCode::NOT_FOUND, "not_found")
    );
    assert_eq!(
        door.get(&format!("{path}/one")).await.code(),
        "invalid_request"
    );
}
