//! Sweeps beside workers that have written and not committed yet.

use hookmirror::model::operator::OperatorAction;
use hookmirror::model::retention::Step;
use hookmirror::store::Retention;

use super::execute;
use crate::store::{apply, record_of};
use crate::support::given::{asked, at, delete, for_real, ignore, mirror, user};
use crate::support::postgres::TestDatabase;

fn action() -> OperatorAction {
    asked(for_real())
}

/// A sweep does not wait for a row that somebody is at work on, and takes it when it comes again.
#[tokio::test]
async fn a_sweep_passes_by_what_others_hold() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let batch = [
        ignore("evt_1", "a.type"),
        mirror("msg_1", user("user_a", 1, "Ann")),
        delete("msg_2", "user_a", 5),
    ];
    apply(&store, 10, &batch).await;
    let mut other = database.stranger().await;
    let held = "BEGIN; SELECT FROM events WHERE event_id IN ('evt_1', 'msg_1') FOR UPDATE";
    execute(&mut other, held).await;
    let action = action();
    let erase = |now| store.erase_deleted(at(10), 10, &action, None, at(now));
    let prune = |now| store.prune_payloads(at(9000), 10, &action, None, at(now));
    assert_eq!(erase(100).await.unwrap().events, 1);
    assert_eq!(prune(100).await.unwrap().events, 0);
    execute(&mut other, "COMMIT").await;
    assert_eq!(prune(101).await.unwrap().events, 2);
    assert_eq!(erase(101).await.unwrap(), Step::default());
}

/// An event that was written before a sweep and committed after it.
#[tokio::test]
async fn an_event_that_nobody_could_see_yet_is_erased_by_the_second_look() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    apply(&store, 10, &[delete("msg_1", "user_a", 5)]).await;
    let mut other = database.stranger().await;
    execute(
        &mut other,
        "BEGIN; INSERT INTO events (source, event_id, event_type, subject, state, outcome, deliveries, \
         attempts, received_at, applied_at, payload) VALUES ('clerk', 'msg_2', 'session.created', \
         'user_a', 'applied', 'user_gone', 1, 1, now(), now(), 'x')",
    )
    .await;
    let action = action();
    let step = store
        .erase_deleted(at(10), 10, &action, None, at(100))
        .await;
    assert_eq!(step.unwrap().events, 1);
    execute(&mut other, "COMMIT").await;
    let step = store
        .erase_deleted(at(10), 10, &action, None, at(400))
        .await;
    assert_eq!(step.unwrap().events, 1);
    assert_eq!(record_of(&store, "msg_2").await.payload, None);
}

/// Nor does a person count as erased as long as somebody is at work on the last of its events.
#[tokio::test]
async fn what_was_passed_by_at_every_look_is_erased_in_the_end() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        delete("msg_2", "user_a", 5),
    ];
    apply(&store, 10, &batch).await;
    let mut other = database.stranger().await;
    let held = "BEGIN; SELECT FROM events WHERE event_id = 'msg_1' FOR UPDATE";
    execute(&mut other, held).await;
    let action = action();
    let erase = |now| store.erase_deleted(at(10), 10, &action, None, at(now));
    assert_eq!(erase(100).await.unwrap().events, 1);
    assert_eq!(erase(400).await.unwrap().events, 0);
    execute(&mut other, "COMMIT").await;
    assert_eq!(erase(700).await.unwrap().events, 1);
    assert_eq!(record_of(&store, "msg_1").await.payload, None);
}
