//! The files of `fixtures/`, and events made of them.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hookmirror::model::event::{Event, EventId, EventKey, EventType, Trigger};
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use serde_json::Value;

/// When every event of these tests is received.
pub(crate) const RECEIVED_AT: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// The user of the whole story.
pub(crate) const USER: &str = "user_2xPrK8sQvD1nWyB4tGjMzH6cEoU";

/// The customer of the whole story.
pub(crate) const CUSTOMER: &str = "cus_TSx4mQ9bKe2VhR";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The names of the files in one folder, without `.json`, sorted.
pub(crate) fn names(of: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder(of))
        .unwrap()
        .map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".json").unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

/// One file as it is.
pub(crate) fn bytes(of: &str, name: &str) -> Bytes {
    fs::read(folder(of).join(format!("{name}.json")))
        .unwrap()
        .into()
}

/// One file as a value, to be changed.
pub(crate) fn json(of: &str, name: &str) -> Value {
    serde_json::from_slice(&bytes(of, name)).unwrap()
}

/// An event with this body.
pub(crate) fn event(provider: Provider, event_type: &str, body: impl Into<Bytes>) -> Event {
    Event {
        key: EventKey {
            source: provider.into(),
            id: EventId::parse("evt_1").unwrap(),
        },
        event_type: EventType::parse(event_type).unwrap(),
        received_at: RECEIVED_AT,
        trigger: Trigger::Webhook,
        headers: KeptHeaders::default(),
        trace: None,
        body: body.into(),
    }
}
