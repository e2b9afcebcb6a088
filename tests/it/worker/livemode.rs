//! Test and live events at sources that insist on one kind: from the queue to the ledger, on both
//! engines.

use std::sync::Arc;

use hookmirror::clock::Clock;
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::event::{Event, EventKey};
use hookmirror::model::source::{Provider, Source, SourceName};
use hookmirror::model::state::EventState;
use hookmirror::ops::account::account;
use hookmirror::ops::checkup::{self, Level};
use hookmirror::queue::Publisher;
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::store::Store;
use hookmirror::traces::Traces;
use hookmirror::worker::Worker;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::PATIENT;
use crate::fixtures;
use crate::support::clock::ManualClock;
use crate::support::database;
use crate::support::directory::directory;
use crate::support::given::{at, key, user_id};

const LIVE: &str = "stripe-live";
const TEST: &str = "stripe-test";
const EITHER: &str = "stripe";
const PAID: &str = "checkout.session.completed";

fn source(name: &str, livemode: Option<bool>) -> Source {
    Source {
        name: SourceName::parse(name).unwrap(),
        provider: Provider::Stripe,
        livemode,
    }
}

/// A checkout that `user` has paid.
fn paid(source: &str, id: &str, livemode: bool, user: &str) -> Event {
    let mut body = fixtures::json("stripe", PAID);
    body["livemode"] = livemode.into();
    let session = &mut body["data"]["object"];
    session["id"] = format!("cs_{id}").into();
    session["client_reference_id"] = user.into();
    session["metadata"] = Value::Null;
    session["customer"] = Value::Null;
    let mut event = fixtures::event(Provider::Stripe, PAID, body.to_string());
    event.key = EventKey {
        source: SourceName::parse(source).unwrap(),
        ..key(id)
    };
    event
}

async fn nobody_is_paid_by_the_other_kind(store: Arc<dyn Store>) {
    let directory = directory();
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    let expected = [
        (paid(LIVE, "evt_1", true, "user_live"), "payment_recorded"),
        (paid(LIVE, "evt_2", false, "user_cheat"), "test_event"),
        (paid(TEST, "evt_3", false, "user_test"), "payment_recorded"),
        (paid(TEST, "evt_4", true, "user_stray"), "live_event"),
        (paid(EITHER, "evt_5", true, "user_5"), "payment_recorded"),
        (paid(EITHER, "evt_6", false, "user_6"), "payment_recorded"),
    ];
    for (event, _) in &expected {
        let _ = queue.publisher().publish(event.clone()).await.unwrap();
    }
    let sources = [
        source(LIVE, Some(true)),
        source(TEST, Some(false)),
        source(EITHER, None),
    ];
    let mut worker = Worker {
        consumer: Box::new(queue.consumer()),
        store: Arc::clone(&store),
        sources: sources.into_iter().collect(),
        clock: Arc::new(ManualClock::new(at(0))) as Arc<dyn Clock>,
        outbox_bells: Vec::new(),
        patience: PATIENT,
        traces: Traces::default(),
        metrics: WorkerMetrics::default(),
    };
    let batch = worker.take().await.unwrap();
    let stop = CancellationToken::new();
    let applied = worker.process(batch, &stop).await.unwrap();
    assert_eq!(applied.len(), expected.len());

    for (event, outcome) in &expected {
        let record = store.find_event(&event.key).await.unwrap().unwrap();
        assert_eq!(record.summary.outcome, *outcome, "{}", event.key);
        assert_eq!(record.payload.as_deref(), Some(&event.body[..]));
        let is_ignored = record.summary.state == EventState::Ignored;
        assert_eq!(is_ignored, *outcome != "payment_recorded");
    }
    for user in ["user_live", "user_test", "user_5", "user_6"] {
        let report = store.find_user(&user_id(user)).await.unwrap().unwrap();
        assert!(report.entitlement.unwrap().paid, "{user}");
    }
    for user in ["user_cheat", "user_stray"] {
        assert_eq!(store.find_user(&user_id(user)).await.unwrap(), None);
    }

    let account = account(&*store, Default::default()).await.unwrap();
    assert_eq!((account.accepted, account.recorded), (6, 6));
    let warnings: Vec<String> = checkup::events(&account, at(0))
        .into_iter()
        .filter(|finding| finding.check == "livemode" && finding.level == Level::Warning)
        .map(|finding| finding.message)
        .collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("1 test event reached the live source `stripe-live`"));
    assert!(warnings[1].starts_with("1 live event reached the test source `stripe-test`"));
}

#[tokio::test]
async fn nobody_is_paid_by_the_other_kind_on_sqlite() {
    let database = database::sqlite().await;
    nobody_is_paid_by_the_other_kind(Arc::clone(&database.store)).await;
}

#[tokio::test]
async fn nobody_is_paid_by_the_other_kind_on_postgres() {
    let database = database::postgres().await;
    nobody_is_paid_by_the_other_kind(Arc::clone(&database.store)).await;
}
