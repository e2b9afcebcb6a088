//! The ledger's row of an event, over all its deliveries.

use hookmirror::model::changes::Outcome;
use hookmirror::model::headers::{KeptHeader, KeptHeaders};
use hookmirror::model::ledger::{Attempt, EventCounts};
use hookmirror::model::source::SourceName;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::{apply, everything, outcomes, record_of, report, state_of};
use crate::support::given::{
    at, delete, failing, ignore, key, mirror, received, record, session_of, user,
};

pub(super) async fn a_later_delivery_of_a_settled_event_only_counts(store: &dyn Store) {
    let event = mirror("msg_1", user("user_a", 1, "Ann"));
    let first = &apply(store, 10, std::slice::from_ref(&event)).await[0];
    assert_eq!(first.state, EventState::Applied);
    assert_eq!(first.outcome, Outcome::UserMirrored);
    let once = record_of(store, "msg_1").await;
    assert_eq!(once.attempts, []);
    assert_eq!(once.summary.applied_at, Some(at(10)));

    // Twice in one batch: settled by an earlier one, both count.
    let again = apply(store, 20, &[event.clone(), event]).await;
    for applied in again {
        assert_eq!(applied.state, EventState::Applied);
        assert_eq!(applied.outcome, Outcome::Duplicate);
    }
    let mut expected = once;
    expected.summary.deliveries = 3;
    assert_eq!(record_of(store, "msg_1").await, expected);

    let ignored = ignore("msg_2", "session.created");
    let answers = apply(store, 30, &[ignored.clone(), ignored]).await;
    assert_eq!(answers[0].state, EventState::Ignored);
    assert_eq!(answers[1].state, EventState::Ignored);
    assert_eq!(answers[1].outcome, Outcome::Duplicate);
}

pub(super) async fn deliveries_within_a_batch_count_as_one_attempt(store: &dyn Store) {
    let event = record("evt_1", session_of("cs_1", "user_a"));
    let other = mirror("msg_1", user("user_a", 1, "Ann"));
    let batch = [event.clone(), other, event.clone(), event];
    let expected = [
        Outcome::PaymentRecorded,
        Outcome::UserMirrored,
        Outcome::Duplicate,
        Outcome::Duplicate,
    ];
    assert_eq!(outcomes(store, 0, &batch).await, expected);
    let summary = record_of(store, "evt_1").await.summary;
    assert_eq!((summary.deliveries, summary.attempts), (3, 1));
    assert_eq!(summary.outcome, "payment_recorded");
    assert_eq!(report(store, "user_a").await.facts.sessions.len(), 1);
}

pub(super) async fn the_same_id_of_another_source_is_another_event(store: &dyn Store) {
    let one = ignore("evt_1", "a.type");
    let mut other = one.clone();
    other.event.key.source = SourceName::parse("stripe-test").unwrap();
    let expected = outcomes(store, 0, &[one.clone(), other.clone()]).await;
    assert!(!expected.contains(&Outcome::Duplicate), "{expected:?}");
    let later = ignore("evt_2", "a.type");
    apply(store, 1, &[later, other]).await;

    assert_eq!(record_of(store, "evt_1").await.summary.deliveries, 1);
    assert_eq!(everything(store).await.len(), 3);
}

pub(super) async fn a_failed_event_is_processed_again_by_a_later_delivery(store: &dyn Store) {
    let bad = failing("msg_1", "user.updated", "data.id");
    apply(store, 10, std::slice::from_ref(&bad)).await;
    let failed = record_of(store, "msg_1").await;
    assert_eq!(failed.summary.state, EventState::Failed);
    assert_eq!(failed.summary.outcome, "payload_invalid");
    assert!(failed.summary.last_error.is_some());
    assert!(failed.summary.fingerprint.is_some());
    assert_eq!(failed.summary.applied_at, None);

    apply(store, 20, &[bad]).await;
    let good = mirror("msg_1", user("user_a", 1, "Ann"));
    assert_eq!(outcomes(store, 30, &[good]).await, [Outcome::UserMirrored]);

    let record = record_of(store, "msg_1").await;
    assert_eq!(record.summary.state, EventState::Applied);
    assert_eq!((record.summary.deliveries, record.summary.attempts), (3, 3));
    assert_eq!(record.summary.last_error, None);
    assert_eq!(record.summary.fingerprint, None);
    assert_eq!(record.summary.subject.as_deref(), Some("user_a"));
    let attempt = |attempt, time, state, outcome: &str, error: Option<&str>| Attempt {
        attempt,
        at: at(time),
        trigger: "webhook".to_owned(),
        state,
        outcome: outcome.to_owned(),
        error: error.map(str::to_owned),
    };
    let missing = Some("`data.id` is missing");
    let expected = [
        attempt(1, 10, EventState::Failed, "payload_invalid", missing),
        attempt(2, 20, EventState::Failed, "payload_invalid", missing),
        attempt(3, 30, EventState::Applied, "user_mirrored", None),
    ];
    assert_eq!(record.attempts, expected);
}

pub(super) async fn a_payload_that_must_not_be_kept_is_not_kept(store: &dyn Store) {
    let mut secret = ignore("msg_1", "email.created");
    secret.keep_payload = false;
    let kept = ignore("msg_2", "session.created");
    let bytes = kept.event.body.clone();
    apply(store, 0, &[secret.clone(), kept, secret]).await;
    assert_eq!(record_of(store, "msg_1").await.payload, None);
    assert_eq!(
        record_of(store, "msg_2").await.payload.as_deref(),
        Some(&bytes[..])
    );
}

pub(super) async fn the_first_delivery_keeps_its_bytes_and_time(store: &dyn Store) {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut first = received(5, failing("msg_1", "user.updated", "data"));
    first.event.body = bytes.clone().into();
    let mut second = received(9, failing("msg_1", "user.updated", "data"));
    second.event.body = "another rendering".into();
    apply(store, 10, &[first]).await;
    apply(store, 11, &[second]).await;

    let record = record_of(store, "msg_1").await;
    assert_eq!(record.payload, Some(bytes));
    assert_eq!(record.summary.received_at, at(5));
}

pub(super) async fn a_batch_of_more_rows_than_one_statement_takes_is_whole(store: &dyn Store) {
    let mut batch = Vec::new();
    for number in 0..300 {
        let id = format!("user_{number}");
        batch.push(mirror(&format!("msg_m{number}"), user(&id, 1, "Ann")));
        batch.push(record(
            &format!("evt_{number}"),
            session_of(&format!("cs_{number}"), &id),
        ));
    }
    batch.push(delete("msg_d", "user_299", 5));
    apply(store, 0, &batch).await;

    assert_eq!(everything(store).await.len(), 601);
    for number in [0, 127, 128, 255, 256, 298] {
        let found = report(store, &format!("user_{number}")).await;
        assert!(found.user.is_some(), "{number}");
        assert!(found.entitlement.unwrap().paid, "{number}");
        assert!(found.outbox.is_some(), "{number}");
    }
    assert!(report(store, "user_299").await.user.is_none());
    assert_eq!(state_of(store, "evt_299").await, EventState::Applied);
}

pub(super) async fn an_empty_batch_is_nothing(store: &dyn Store) {
    assert_eq!(apply(store, 0, &[]).await, []);
    assert_eq!(everything(store).await, []);
    assert_eq!(store.find_event(&key("evt_1")).await.unwrap(), None);
    assert_eq!(
        store.count_events(&[]).await.unwrap(),
        EventCounts::default()
    );
}

pub(super) async fn the_first_delivery_keeps_its_headers(store: &dyn Store) {
    let agent = |value: &[u8]| KeptHeaders::of([(KeptHeader::UserAgent, value)]);
    let mut first = ignore("msg_1", "session.created");
    first.event.headers = agent(b"first");
    let mut second = first.clone();
    second.event.headers = agent(b"second");
    let mut failed = failing("msg_2", "user.created", "data.id");
    failed.event.headers = agent(b"failed");
    let without = ignore("msg_3", "session.created");
    apply(store, 1, &[first, second.clone(), failed.clone(), without]).await;
    failed.event.headers = agent(b"later");
    apply(store, 2, &[second, failed]).await;
    assert_eq!(record_of(store, "msg_1").await.headers, agent(b"first"));
    assert_eq!(record_of(store, "msg_2").await.headers, agent(b"failed"));
    assert_eq!(
        record_of(store, "msg_3").await.headers,
        KeptHeaders::default()
    );
}
