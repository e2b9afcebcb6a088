//! Failures in groups: counted where they are recorded, decided about by people.

use hookmirror::model::changes::{Decision, Planned};
use hookmirror::model::event::Trigger;
use hookmirror::model::failure::{FailureChange, FailureGroup, GroupState};
use hookmirror::model::operator::Mode;
use hookmirror::model::payment::CheckoutSession;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::{apply, record_of, state_of};
use crate::support::given::{
    asked, at, failing, for_real, key, mirror, record, retry, session_of, user,
};

async fn groups(store: &dyn Store) -> Vec<FailureGroup> {
    store.list_failures(&[], 100).await.unwrap()
}

async fn only(store: &dyn Store) -> FailureGroup {
    let [group] = <[FailureGroup; 1]>::try_from(groups(store).await).unwrap();
    group
}

fn fingerprint(planned: &Planned) -> String {
    match &planned.decision {
        Decision::Fail(failure) | Decision::Retry(failure) => failure.fingerprint.clone(),
        Decision::Apply(_) => panic!("does not fail"),
    }
}

async fn decide(store: &dyn Store, now: i64, change: FailureChange, mode: Mode) -> (u64, u64) {
    let all: Vec<String> = groups(store)
        .await
        .into_iter()
        .map(|group| group.fingerprint)
        .collect();
    let action = asked(mode);
    let done = store.change_failures(change, &all, &action, at(now));
    let done = done.await.unwrap();
    (done.matched, done.changed)
}

pub(super) async fn each_failed_attempt_is_counted_in_its_group(store: &dyn Store) {
    let batch = [
        failing("evt_1", "invoice.paid", "data.a"),
        mirror("msg_1", user("user_a", 1, "Ann")),
        failing("evt_2", "invoice.paid", "data.a"),
        failing("evt_3", "invoice.paid", "data.b"),
        // A second delivery within the batch is no second attempt.
        failing("evt_1", "invoice.paid", "data.a"),
        retry("msg_2"),
    ];
    apply(store, 1, &batch).await;
    apply(store, 5, &batch[2..3]).await;
    let found = groups(store).await;
    let told: Vec<_> = found
        .iter()
        .map(|group| {
            let counts = (group.failed, group.retrying, group.occurrences);
            let times = (group.first_seen, group.last_seen);
            (
                group.fingerprint.clone(),
                counts,
                times,
                group.example.clone(),
            )
        })
        .collect();
    let expected = [
        (
            fingerprint(&batch[0]),
            (2, 0, 3),
            (at(1), at(5)),
            key("evt_2"),
        ),
        (
            fingerprint(&batch[3]),
            (1, 0, 1),
            (at(1), at(1)),
            key("evt_3"),
        ),
        (
            fingerprint(&batch[5]),
            (0, 1, 1),
            (at(1), at(1)),
            key("msg_2"),
        ),
    ];
    let mut rest = expected[1..].to_vec();
    rest.sort();
    assert_eq!(told[0], expected[0], "the most first");
    assert_eq!(told[1..], rest);
    let first = &found[0];
    assert_eq!(
        (first.kind.as_str(), first.state),
        ("payload_invalid", GroupState::Open)
    );
    assert_eq!(first.event_type.as_str(), "invoice.paid");
    assert_eq!(first.last_error, "`data.a` is missing");
    assert_eq!((first.decided.as_ref(), first.reopened_at), (None, None));
    assert_eq!(store.list_failures(&[], 1).await.unwrap().len(), 1);

    let wanted = [first.fingerprint.clone(), "none".to_owned()];
    assert_eq!(store.find_failures(&wanted).await.unwrap(), found[..1]);
}

/// Only the database finds out, and the batch is split until the event is alone.
pub(super) async fn what_the_database_refuses_is_counted_once(store: &dyn Store) {
    let refused = |event: &str| {
        let session = CheckoutSession {
            id: format!("cs_{}", "x".repeat(300)),
            ..session_of("cs", "user_r")
        };
        Planned {
            subject: None,
            ..record(event, session)
        }
    };
    let mut batch: Vec<Planned> = (0..6)
        .map(|number| failing(&format!("evt_{number}"), "invoice.paid", "data.a"))
        .collect();
    batch.push(refused("evt_refused"));
    batch.push(failing("evt_last", "invoice.paid", "data.a"));
    apply(store, 1, &batch).await;
    let found = groups(store).await;
    let occurrences: Vec<_> = found
        .iter()
        .map(|group| (group.kind.as_str(), group.occurrences, group.failed))
        .collect();
    assert_eq!(
        occurrences,
        [("payload_invalid", 7, 7), ("data_refused", 1, 1)]
    );
}

pub(super) async fn what_succeeds_later_does_not_fail_now(store: &dyn Store) {
    let event = failing("msg_1", "user.updated", "data.a");
    apply(store, 1, &[event]).await;
    apply(store, 2, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    assert_eq!(state_of(store, "msg_1").await, EventState::Applied);
    let group = only(store).await;
    assert_eq!((group.failed, group.retrying, group.occurrences), (0, 0, 1));
    // A late delivery of what is settled is no failure.
    apply(store, 3, &[failing("msg_1", "user.updated", "data.a")]).await;
    assert_eq!(only(store).await, group);
}

pub(super) async fn an_event_on_its_way_back_counts_as_retrying(store: &dyn Store) {
    apply(store, 1, &[retry("msg_1")]).await;
    let far = at(1_000_000);
    let leases = store.lease_retries(10, far, at(1_000_030)).await.unwrap();
    assert!(
        leases
            .iter()
            .all(|lease| lease.event.trigger == Trigger::Retry)
    );
    store.retries_queued(&leases).await.unwrap();
    assert_eq!(state_of(store, "msg_1").await, EventState::Queued);
    assert_eq!(only(store).await.retrying, 1);
}

pub(super) async fn a_resolved_group_is_open_again_with_the_next_failure(store: &dyn Store) {
    let event = || failing("evt_1", "invoice.paid", "data.a");
    apply(store, 1, &[event()]).await;
    let resolve = FailureChange::Resolve;
    assert_eq!(decide(store, 2, resolve, Mode::DryRun).await, (1, 0));
    assert_eq!(only(store).await.state, GroupState::Open);
    assert_eq!(decide(store, 3, resolve, for_real()).await, (1, 1));
    let group = only(store).await;
    assert_eq!(group.state, GroupState::Resolved);
    let decided = group.decided.clone().unwrap();
    assert_eq!((decided.at, decided.by.as_str()), (at(3), "ada"));
    assert_eq!(decided.reason, "asked support");
    assert_eq!(decide(store, 4, resolve, for_real()).await, (0, 0));

    apply(store, 5, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    assert_eq!(only(store).await, group, "a success does not open it");
    apply(store, 6, &[event()]).await;
    let again = only(store).await;
    assert_eq!(
        (again.state, again.reopened_at),
        (GroupState::Open, Some(at(6)))
    );
    assert_eq!(
        again.decided, group.decided,
        "who resolved it is not forgotten"
    );
    apply(store, 7, &[event()]).await;
    assert_eq!(only(store).await.reopened_at, Some(at(6)));
    assert_eq!(record_of(store, "evt_1").await.summary.attempts, 3);

    let actions = store.operator_actions(10).await.unwrap();
    let told: Vec<_> = actions.iter().map(|it| (it.dry_run, it.changed)).collect();
    assert_eq!(told, [(false, 0), (false, 1), (true, 0)]);
}

pub(super) async fn an_acknowledged_group_stays_so(store: &dyn Store) {
    let event = || failing("evt_1", "invoice.paid", "data.a");
    apply(store, 1, &[event()]).await;
    let acknowledge = FailureChange::Acknowledge;
    assert_eq!(decide(store, 2, acknowledge, for_real()).await, (1, 1));
    apply(store, 3, &[event()]).await;
    let group = only(store).await;
    assert_eq!(
        (group.state, group.occurrences),
        (GroupState::Acknowledged, 2)
    );
    assert_eq!(group.reopened_at, None);
    assert_eq!(decide(store, 4, acknowledge, for_real()).await, (0, 0));
    let list = |state: GroupState| async move {
        let found = store.list_failures(&[state], 10).await.unwrap();
        found.len()
    };
    assert_eq!(list(GroupState::Open).await, 0);
    assert_eq!(list(GroupState::Acknowledged).await, 1);
    let reopen = FailureChange::Reopen;
    assert_eq!(decide(store, 5, reopen, for_real()).await, (1, 1));
    assert_eq!(list(GroupState::Open).await, 1);
}
