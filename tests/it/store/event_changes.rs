//! What people do to many events at once, and the record of it.

use hookmirror::model::by_hand::ChangedEvents;
use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::event::EventId;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{ActionFilter, Mode, Operator, OperatorAction, Reason};
use hookmirror::model::pause::SourceChange;
use hookmirror::model::payment::Fact;
use hookmirror::model::source::SourceName;
use hookmirror::model::state::EventState;
use hookmirror::ops::events::{DiscardError, discard, retry as retry_now};
use hookmirror::store::Store;
use serde_json::json;

use super::{apply, everything, outcomes, record_of, report, state_of};
use crate::support::given::{
    at, by_customer, customer, failing, ignore, mirror, record, retry, session, tell, user,
};

fn ann() -> Operator {
    Operator::parse("ann").unwrap()
}

fn for_real() -> Mode {
    Mode::Execute(Reason::parse("test data").unwrap())
}

fn ids(ids: &[&str]) -> EventFilter {
    EventFilter {
        ids: ids.iter().map(|id| EventId::parse(id).unwrap()).collect(),
        ..EventFilter::default()
    }
}

async fn give_up(store: &dyn Store, filter: &EventFilter, mode: Mode) -> ChangedEvents {
    let done = discard(store, filter, true, ann(), mode, at(50)).await;
    done.unwrap()
}

async fn make_due(store: &dyn Store, filter: EventFilter, mode: Mode) -> ChangedEvents {
    retry_now(store, &filter, ann(), mode, at(1)).await.unwrap()
}

/// One event in each state that one can be in, the parked one included.
async fn one_of_each(store: &dyn Store) {
    apply(store, 0, &[retry("msg_on_its_way")]).await;
    let leases = store.lease_retries(10, at(1000), at(1030)).await.unwrap();
    store.retries_queued(&leases).await.unwrap();
    let batch = [
        mirror("msg_applied", user("user_a", 1, "Ann")),
        ignore("msg_ignored", "a.type"),
        failing("msg_failed", "b.type", "a place"),
        record("evt_waiting", by_customer("cus_1", session("cs_1"))),
        retry("msg_retrying"),
    ];
    apply(store, 1, &batch).await;
    let action = OperatorAction {
        operator: ann(),
        action: "sources pause",
        target: json!({}),
        mode: for_real(),
    };
    let clerk = [SourceName::parse("clerk").unwrap()];
    let paused = store.change_sources(SourceChange::Pause, &clerk, &action, at(2));
    paused.await.unwrap();
    apply(store, 3, &[mirror("msg_parked", user("user_b", 1, "Bob"))]).await;
}

async fn states(store: &dyn Store) -> Vec<(String, EventState)> {
    let events = everything(store).await.into_iter();
    let mut states: Vec<_> = events
        .map(|event| (event.key.id.to_string(), event.state))
        .collect();
    states.sort();
    states
}

pub(super) async fn what_did_not_end_is_given_up_and_nothing_else(store: &dyn Store) {
    one_of_each(store).await;
    let before = states(store).await;
    let nothing = EventFilter::default();
    let refused = discard(store, &nothing, false, ann(), for_real(), at(4)).await;
    assert!(matches!(refused, Err(DiscardError::Unlimited)));

    let plan = give_up(store, &nothing, Mode::DryRun).await;
    assert_eq!((plan.action.matched, plan.action.changed), (4, 0));
    assert_eq!(plan.examples.len(), 4);
    let tally: Vec<_> = plan
        .tally
        .iter()
        .map(|tally| (tally.state, tally.event_type.as_str(), tally.events))
        .collect();
    let expected = [
        (EventState::Failed, "b.type", 1),
        (EventState::Queued, "user.updated", 1),
        (EventState::Retrying, "user.updated", 1),
        (EventState::Waiting, "checkout.session.completed", 1),
    ];
    assert_eq!(tally, expected);
    assert_eq!(states(store).await, before, "a dry run");

    let done = give_up(store, &nothing, for_real()).await;
    assert_eq!((done.action.matched, done.action.changed), (4, 4));
    for (id, was) in before {
        let is = record_of(store, &id).await.summary;
        let kept = ["msg_applied", "msg_ignored", "msg_on_its_way"].contains(&id.as_str());
        let expected = if kept { was } else { EventState::Discarded };
        assert_eq!((is.state, is.next_attempt_at), (expected, None), "{id}");
    }
    let failed = record_of(store, "msg_failed").await.summary;
    assert_eq!(failed.outcome, "payload_invalid", "why stays known");
    let again = give_up(store, &nothing, for_real()).await;
    assert_eq!(again.action.changed, 0);
}

pub(super) async fn what_was_given_up_stays_so(store: &dyn Store) {
    let waits = record("evt_1", by_customer("cus_1", session("cs_1")));
    let failed = failing("msg_1", "a.type", "a place");
    apply(store, 0, &[waits.clone(), failed]).await;
    let done = give_up(store, &ids(&["evt_1", "msg_1"]), for_real()).await;
    assert_eq!(done.action.changed, 2);
    let again = [waits, mirror("msg_1", user("user_a", 1, "Ann"))];
    let came = outcomes(store, 5, &again).await;
    assert_eq!(came, [Outcome::Duplicate, Outcome::Duplicate]);
    assert!(store.waiting_payments(10).await.unwrap().is_empty());

    let link = tell("evt_2", Fact::Customer(customer("cus_1", "user_a", 1)));
    apply(store, 6, &[link]).await;
    assert_eq!(state_of(store, "evt_1").await, EventState::Discarded);
    let paid = report(store, "user_a").await.entitlement.unwrap().paid;
    assert!(paid, "what it told of the payment stays known");
}

pub(super) async fn what_is_to_be_tried_again_is_due_now(store: &dyn Store) {
    one_of_each(store).await;
    let plan = make_due(store, EventFilter::default(), Mode::DryRun).await;
    assert_eq!((plan.action.matched, plan.passed_over.len()), (1, 0));
    let due = store.next_retry_due().await.unwrap().unwrap();
    assert!(due > at(5), "a dry run");

    let named = ids(&["msg_retrying", "msg_failed", "msg_applied"]);
    let done = make_due(store, named, for_real()).await;
    assert_eq!(done.action.changed, 1);
    let others: Vec<_> = done
        .passed_over
        .iter()
        .map(|tally| (tally.state, tally.events))
        .collect();
    assert_eq!(others, [(EventState::Applied, 1), (EventState::Failed, 1)]);
    let leases = store.lease_retries(10, at(1), at(31)).await.unwrap();
    assert_eq!(leases.len(), 1);
    let retrying = record_of(store, "msg_retrying").await.summary;
    assert_eq!(retrying.attempts, 1);
    let none = make_due(store, ids(&["msg_failed"]), Mode::DryRun).await;
    assert_eq!((none.action.matched, none.passed_over.len()), (0, 1));
}

pub(super) async fn more_than_one_transaction_takes_is_changed_and_recorded(store: &dyn Store) {
    const MANY: usize = 5003;
    let mut failed: Vec<Planned> = (0..MANY)
        .map(|n| failing(&format!("msg_{n}"), "a.type", "a place"))
        .collect();
    failed.push(failing("msg_x", "b.type", "a place"));
    apply(store, 0, &failed).await;
    let filter = EventFilter {
        event_type: Some("a.*".to_owned()),
        ..EventFilter::default()
    };
    let done = give_up(store, &filter, for_real()).await;
    let all = MANY as u64;
    assert_eq!((done.action.matched, done.action.changed), (all, all));
    assert_eq!(store.operator_actions(10).await.unwrap(), [done.action]);
    assert_eq!(state_of(store, "msg_x").await, EventState::Failed);
    let discarded = EventFilter {
        states: vec![EventState::Discarded],
        ..EventFilter::default()
    };
    let listed = store.list_events(&discarded, 10_000).await.unwrap();
    assert_eq!(listed.len(), MANY);
}

/// When they were recorded, and the id of the last.
async fn actions(store: &dyn Store, filter: &ActionFilter, limit: u32) -> (Vec<u64>, i64) {
    let actions = store.list_actions(filter, limit).await.unwrap();
    let times = actions
        .iter()
        .map(|action| action.at.since(at(0)).as_secs());
    (times.collect(), actions.last().unwrap().id)
}

pub(super) async fn the_record_is_read_page_by_page(store: &dyn Store) {
    let filter = EventFilter::default();
    for n in 0..5 {
        let operator = Operator::parse(if n % 2 == 0 { "ann" } else { "bob" }).unwrap();
        if n < 3 {
            let done = retry_now(store, &filter, operator, Mode::DryRun, at(n)).await;
            done.unwrap();
        } else {
            let done = discard(store, &filter, true, operator, for_real(), at(n)).await;
            done.unwrap();
        }
    }
    let all = ActionFilter::default();
    let (first, last) = actions(store, &all, 2).await;
    assert_eq!(first, [4, 3], "newest first");
    let next = ActionFilter {
        before: Some(last),
        ..ActionFilter::default()
    };
    assert_eq!(actions(store, &next, 2).await.0, [2, 1]);
    let of_ann = ActionFilter {
        operator: Some(ann()),
        ..next
    };
    assert_eq!(actions(store, &of_ann, 10).await.0, [2, 0]);
    let discards = ActionFilter {
        action: Some("events discard".to_owned()),
        ..ActionFilter::default()
    };
    assert_eq!(actions(store, &discards, 10).await.0, [4, 3]);
}
