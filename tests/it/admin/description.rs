//! The description of the API, which others make clients from.

use hookmirror::admin::api::description;
use serde_json::Value;

use super::door::Door;
use crate::support::golden;

#[tokio::test]
async fn it_is_served_as_it_is_kept() {
    let described = description().to_pretty_json().unwrap() + "\n";
    golden::compare("tests/it/admin/openapi.json", &described);
    let served = Door::of(None).get("/api/v1/openapi.json").await;
    let kept: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(served.body, kept);
}

#[test]
fn every_reference_leads_somewhere_and_every_path_is_explained() {
    let described = serde_json::to_value(description()).unwrap();
    let text = described.to_string();
    for part in text.split("\"#/").skip(1) {
        let pointer = format!("/{}", part.split('"').next().unwrap());
        assert!(described.pointer(&pointer).is_some(), "{pointer}");
    }
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"]["200"].is_object(), "{method} {path}");
        }
    }
}
