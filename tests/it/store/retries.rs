//! Events that are tried again later.

use hookmirror::model::event::Trigger;
use hookmirror::model::retry::{RetryLease, next_attempt};
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use hookmirror::store::Store;

use super::{apply, outcomes, record_of, state_of};
use crate::support::given::{at, ignore, key, received, retry};

/// When an event that failed at this time for the `attempt`-th time comes back.
fn due(event: &str, attempt: u32, now: i64) -> Timestamp {
    next_attempt(&key(event), attempt, at(now)).unwrap()
}

async fn lease(store: &dyn Store, limit: u32, now: Timestamp, until: Timestamp) -> Vec<String> {
    let leases = store.lease_retries(limit, now, until).await.unwrap();
    let mut ids: Vec<String> = leases.iter().map(id).collect();
    ids.sort();
    ids
}

fn id(lease: &RetryLease) -> String {
    lease.event.key.id.to_string()
}

async fn lease_one(store: &dyn Store, now: Timestamp, until: Timestamp) -> RetryLease {
    let mut leases = store.lease_retries(10, now, until).await.unwrap();
    assert_eq!(leases.len(), 1, "{leases:?}");
    leases.remove(0)
}

/// Later than any first wait.
const LATER: i64 = 1000;

pub(super) async fn only_what_is_due_is_leased(store: &dyn Store) {
    assert_eq!(store.next_retry_due().await.unwrap(), None);
    assert!(lease(store, 10, at(LATER), at(LATER)).await.is_empty());
    apply(store, 0, &[retry("msg_1"), ignore("msg_2", "a.type")]).await;
    apply(store, 500, &[retry("msg_3")]).await;
    assert_eq!(state_of(store, "msg_1").await, EventState::Retrying);
    let first = due("msg_1", 1, 0);
    assert_eq!(store.next_retry_due().await.unwrap(), Some(first));

    let before = Timestamp::from_millis(first.as_millis() - 1);
    assert!(lease(store, 10, before, at(LATER)).await.is_empty());
    assert_eq!(lease(store, 10, first, at(LATER)).await, ["msg_1"]);
    let second = due("msg_3", 1, 500);
    assert_eq!(store.next_retry_due().await.unwrap(), Some(second));
}

pub(super) async fn a_retry_is_the_event_as_it_came(store: &dyn Store) {
    let first = received(3, retry("msg_1"));
    apply(store, 5, std::slice::from_ref(&first)).await;
    let lease = lease_one(store, at(LATER), at(LATER + 60)).await;
    let mut expected = first.event;
    expected.trigger = Trigger::Retry;
    assert_eq!(lease.event, expected);
    assert_eq!(lease.until, at(LATER + 60));
}

pub(super) async fn the_longest_due_are_leased_first(store: &dyn Store) {
    for (now, event) in [(30, "msg_c"), (0, "msg_a"), (60, "msg_d"), (15, "msg_b")] {
        apply(store, now, &[retry(event)]).await;
    }
    assert!(lease(store, 0, at(LATER), at(5000)).await.is_empty());
    assert_eq!(
        lease(store, 2, at(LATER), at(5000)).await,
        ["msg_a", "msg_b"]
    );
    assert_eq!(
        lease(store, 9, at(LATER), at(5000)).await,
        ["msg_c", "msg_d"]
    );
}

pub(super) async fn a_lease_moves_the_time(store: &dyn Store) {
    apply(store, 0, &[retry("msg_1")]).await;
    let until = at(LATER + 60);
    assert_eq!(lease(store, 10, at(LATER), until).await, ["msg_1"]);
    assert_eq!(store.next_retry_due().await.unwrap(), Some(until));
    assert!(lease(store, 10, at(LATER + 59), at(5000)).await.is_empty());
    // Never reported as queued: it falls due again.
    assert_eq!(lease(store, 10, until, at(5000)).await, ["msg_1"]);
}

pub(super) async fn what_is_back_on_the_queue_is_not_leased(store: &dyn Store) {
    apply(store, 0, &[retry("msg_1"), retry("msg_2")]).await;
    let until = at(LATER + 60);
    let leases = store.lease_retries(10, at(LATER), until).await.unwrap();
    assert_eq!(leases.len(), 2);
    store.retries_queued(&leases).await.unwrap();
    for event in ["msg_1", "msg_2"] {
        let summary = record_of(store, event).await.summary;
        assert_eq!(summary.state, EventState::Queued);
        assert_eq!(summary.next_attempt_at, None);
    }
    assert_eq!(store.next_retry_due().await.unwrap(), None);
    assert!(lease(store, 10, at(100_000), at(100_060)).await.is_empty());
    // Once more, and of nothing.
    store.retries_queued(&leases).await.unwrap();
    store.retries_queued(&[]).await.unwrap();
    assert_eq!(state_of(store, "msg_1").await, EventState::Queued);
}

pub(super) async fn a_lost_lease_says_nothing(store: &dyn Store) {
    apply(store, 0, &[retry("msg_1")]).await;
    let lost = lease_one(store, at(LATER), at(LATER + 60)).await;
    let held = lease_one(store, at(LATER + 60), at(LATER + 120)).await;
    store.retries_queued(&[lost]).await.unwrap();
    assert_eq!(state_of(store, "msg_1").await, EventState::Retrying);
    assert_eq!(store.next_retry_due().await.unwrap(), Some(held.until));
    store.retries_queued(&[held]).await.unwrap();
    assert_eq!(state_of(store, "msg_1").await, EventState::Queued);
}

pub(super) async fn an_event_processed_since_is_not_queued_again(store: &dyn Store) {
    apply(store, 0, &[retry("msg_1"), retry("msg_2")]).await;
    let until = at(LATER + 60);
    let leases = store.lease_retries(10, at(LATER), until).await.unwrap();
    // One was quick to come through the queue and succeeds, the other fails once more.
    let batch = [ignore("msg_1", "a.type"), retry("msg_2")];
    apply(store, LATER + 1, &batch).await;
    let before = record_of(store, "msg_2").await;
    store.retries_queued(&leases).await.unwrap();
    assert_eq!(state_of(store, "msg_1").await, EventState::Ignored);
    assert_eq!(record_of(store, "msg_2").await, before);
    assert_eq!(before.summary.state, EventState::Retrying);
}

pub(super) async fn a_retried_event_is_applied_like_any_other(store: &dyn Store) {
    apply(store, 0, &[retry("msg_1")]).await;
    let lease = lease_one(store, at(LATER), at(LATER + 60)).await;
    store
        .retries_queued(std::slice::from_ref(&lease))
        .await
        .unwrap();
    let mut again =
        crate::support::given::mirror("msg_1", crate::support::given::user("user_a", 1, "Ann"));
    again.event = lease.event;
    apply(store, LATER + 1, &[again]).await;

    let record = record_of(store, "msg_1").await;
    assert_eq!(record.summary.state, EventState::Applied);
    assert_eq!((record.summary.deliveries, record.summary.attempts), (2, 2));
    assert_eq!(record.summary.last_error, None);
    assert_eq!(record.summary.next_attempt_at, None);
    let attempts: Vec<_> = record
        .attempts
        .iter()
        .map(|attempt| (attempt.attempt, attempt.trigger.as_str(), attempt.state))
        .collect();
    let expected = [
        (1, "webhook", EventState::Retrying),
        (2, "retry", EventState::Applied),
    ];
    assert_eq!(attempts, expected);
}

pub(super) async fn the_last_attempt_ends_as_failed(store: &dyn Store) {
    let mut attempt = 1;
    let mut now = at(0);
    while let Some(next) = next_attempt(&key("msg_1"), attempt, now) {
        store.apply(&[retry("msg_1")], now).await.unwrap();
        let summary = record_of(store, "msg_1").await.summary;
        assert_eq!(summary.state, EventState::Retrying, "attempt {attempt}");
        assert_eq!(summary.next_attempt_at, Some(next));
        assert_eq!(summary.attempts, attempt);
        (attempt, now) = (attempt + 1, next);
    }
    assert!(attempt > 2, "nothing was tried again");
    assert_eq!(
        outcomes(store, 900_000, &[retry("msg_1")]).await[0].as_str(),
        "not_yet"
    );
    let record = record_of(store, "msg_1").await;
    assert_eq!(record.summary.state, EventState::Failed);
    assert_eq!(record.summary.next_attempt_at, None);
    assert!(record.summary.last_error.is_some());
    assert_eq!(record.attempts.len(), attempt as usize);
    assert_eq!(store.next_retry_due().await.unwrap(), None);
}

pub(super) async fn two_schedulers_at_once_lease_different_events(store: &dyn Store) {
    let names: Vec<String> = (0..40).map(|number| format!("msg_{number:02}")).collect();
    let batch: Vec<_> = names.iter().map(|name| retry(name)).collect();
    apply(store, 0, &batch).await;
    let (now, until) = (at(LATER), at(LATER + 60));
    let mut leased = Vec::new();
    // Two at a time until nothing is left; an empty-handed one may only have looked too early.
    while leased.len() < names.len() {
        let (one, other) = tokio::join!(lease(store, 7, now, until), lease(store, 7, now, until));
        assert!(one.len() + other.len() > 0, "some are never leased");
        leased.extend(one);
        leased.extend(other);
    }
    leased.sort();
    assert_eq!(leased, names, "each once");
}
