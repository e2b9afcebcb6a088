//! What goes, when, what is left of it, and what must not go.

use hookmirror::model::changes::Planned;
use hookmirror::model::event::EventType;
use hookmirror::model::operator::{Mode, OperatorAction};
use hookmirror::model::payment::{CheckoutSession, Fact};
use hookmirror::model::retention::{Departure, ErasableType, Step};
use hookmirror::model::retry::next_attempt;
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use hookmirror::store::Store;
use sha2::{Digest, Sha256};

use super::{apply, everything, record_of, state_of};
use crate::support::given::{
    asked, at, by_customer, charge, customer, delete, failing, for_real, ignore, invoice, key,
    mirror, received, record, refund, retry, session, session_of, subscription, tell, user,
    user_id,
};

/// Long enough for what was going on to be over.
const SETTLED: i64 = 300;

pub(super) fn sweep() -> OperatorAction {
    OperatorAction {
        action: "retention prune",
        ..asked(for_real())
    }
}

async fn prune(store: &dyn Store, before: Timestamp, limit: u32) -> Step {
    store
        .prune_payloads(before, limit, &sweep(), None, at(9000))
        .await
        .unwrap()
}

/// Steps until nothing is left to do; how many payloads went.
pub(super) async fn erase_deleted(store: &dyn Store, deleted_by: i64, now: i64) -> u64 {
    let mut erased = 0;
    let mut recorded_as = None;
    for _ in 0..20 {
        let step = store
            .erase_deleted(at(deleted_by), 100, &sweep(), recorded_as, at(now))
            .await
            .unwrap();
        erased += step.events;
        recorded_as = step.recorded_as;
        if !step.more {
            return erased;
        }
    }
    panic!("a sweep does not end");
}

async fn has_payload(store: &dyn Store, event: &str) -> bool {
    record_of(store, event).await.payload.is_some()
}

/// Those of these events whose payload is gone.
async fn gone(store: &dyn Store, events: &[&'static str]) -> Vec<&'static str> {
    let mut gone = Vec::new();
    for event in events {
        if !has_payload(store, event).await {
            gone.push(*event);
        }
    }
    gone
}

/// The same event about something else.
fn about(subject: &str, mut planned: Planned) -> Planned {
    planned.subject = Some(subject.to_owned());
    planned
}

fn paid_with(intent: &str, session: CheckoutSession) -> CheckoutSession {
    CheckoutSession {
        payment_intent: Some(intent.to_owned()),
        ..session
    }
}

pub(super) async fn old_payloads_go_and_their_rows_stay(store: &dyn Store) {
    let batch = [
        received(100, ignore("evt_1", "a.type")),
        received(101, mirror("msg_1", user("user_a", 1, "Ann"))),
    ];
    apply(store, 200, &batch).await;
    let before = record_of(store, "evt_1").await;

    assert_eq!(
        prune(store, at(100), 10).await.events,
        0,
        "not before its time"
    );
    let due = Timestamp::from_millis(at(100).as_millis() + 1);
    let step = prune(store, due, 10).await;
    assert_eq!((step.events, step.more), (1, false));
    assert!(has_payload(store, "msg_1").await);

    let after = record_of(store, "evt_1").await;
    assert_eq!(after.summary, before.summary);
    assert_eq!(after.payload, None);
    let remains = after.remains.unwrap();
    assert_eq!((remains.why, remains.at), (Departure::Pruned, at(9000)));
    let bytes = before.payload.unwrap();
    assert_eq!(remains.sha256, hex::encode(Sha256::digest(bytes)));
    assert_eq!(prune(store, due, 10).await.events, 0, "it goes once");
}

pub(super) async fn what_is_not_finished_keeps_its_payload(store: &dyn Store) {
    let batch = [
        received(1, failing("evt_failed", "a.type", "a place")),
        received(1, retry("msg_retrying")),
        received(1, record("evt_waiting", session("cs_1"))),
        received(1, ignore("evt_done", "a.type")),
    ];
    apply(store, 2, &batch).await;
    assert_eq!(store.overdue(at(1)).await.unwrap().unfinished, 0);
    let overdue = store.overdue(at(2)).await.unwrap();
    assert_eq!(overdue.unfinished, 3);
    assert_eq!(overdue.oldest_payload, Some(at(1)));
    assert_eq!(prune(store, at(9000), 10).await.events, 1);
    let kept = ["evt_failed", "msg_retrying", "evt_waiting"];
    assert!(gone(store, &kept).await.is_empty());
    assert_eq!(store.overdue(at(2)).await.unwrap().oldest_payload, None);

    // Finished, it goes like any other, however long it took.
    apply(store, 3, &[received(1, ignore("evt_failed", "a.type"))]).await;
    assert_eq!(prune(store, at(9000), 10).await.events, 1);
    assert_eq!(gone(store, &kept).await, ["evt_failed"]);
}

pub(super) async fn a_later_delivery_does_not_bring_a_payload_back(store: &dyn Store) {
    let failed = received(1, failing("evt_1", "a.type", "a place"));
    apply(store, 2, &[about("cus_1", failed)]).await;
    let subjects = ["cus_1".to_owned()];
    let action = asked(for_real());
    let erasure = store.erase(&subjects, &action, at(3)).await.unwrap();
    assert_eq!(erasure.types[0].unfinished, 1);
    let remains = record_of(store, "evt_1").await.remains;
    apply(store, 4, &[about("cus_1", ignore("evt_1", "a.type"))]).await;
    let found = record_of(store, "evt_1").await;
    assert_eq!(found.summary.state, EventState::Ignored);
    assert_eq!((found.payload, found.remains), (None, remains));
}

pub(super) async fn the_steps_of_a_sweep_are_one_line_of_the_record(store: &dyn Store) {
    let names: Vec<String> = (0..5).map(|number| format!("evt_{number}")).collect();
    let batch: Vec<_> = names.iter().map(|name| ignore(name, "a.type")).collect();
    apply(store, 1, &batch).await;
    let (mut recorded_as, mut steps) = (None, Vec::new());
    loop {
        let step = store
            .prune_payloads(at(9000), 2, &sweep(), recorded_as, at(9000))
            .await
            .unwrap();
        recorded_as = step.recorded_as;
        steps.push(step.events);
        if !step.more {
            break;
        }
    }
    assert_eq!(steps, [2, 2, 1]);
    let recorded = store.operator_actions(10).await.unwrap();
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!((recorded[0].matched, recorded[0].changed), (5, 5));
    assert_eq!(recorded[0].action, "retention prune");
    // A sweep that finds nothing is not worth a line.
    assert_eq!(prune(store, at(9000), 2).await, Step::default());
    assert_eq!(store.operator_actions(10).await.unwrap(), recorded);
}

pub(super) async fn two_sweeps_at_once_take_each_payload_once(store: &dyn Store) {
    let names: Vec<String> = (0..60).map(|number| format!("evt_{number}")).collect();
    let batch: Vec<_> = names.iter().map(|name| ignore(name, "a.type")).collect();
    apply(store, 1, &batch).await;
    let mut pruned = 0;
    while store.overdue(at(0)).await.unwrap().oldest_payload.is_some() {
        let (one, other) = tokio::join!(prune(store, at(9000), 7), prune(store, at(9000), 7));
        pruned += one.events + other.events;
    }
    assert_eq!(pruned, 60);
    let recorded = store.operator_actions(100).await.unwrap();
    assert_eq!(
        recorded.iter().map(|action| action.changed).sum::<u64>(),
        60
    );
}

pub(super) async fn old_events_go_with_their_attempts(store: &dyn Store) {
    apply(store, 1, &[received(100, retry("msg_1"))]).await;
    apply(store, 2, &[received(100, ignore("msg_1", "a.type"))]).await;
    let batch = [
        received(101, ignore("evt_1", "a.type")),
        received(1, failing("evt_2", "a.type", "a place")),
        received(1, record("evt_3", session_of("cs_1", "user_a"))),
    ];
    apply(store, 3, &batch).await;
    assert_eq!(record_of(store, "msg_1").await.attempts.len(), 2);
    let action = sweep();
    let delete = |before| store.delete_events(before, 10, &action, None, at(9000));
    assert_eq!(delete(at(1)).await.unwrap().events, 0);
    let step = delete(at(101)).await.unwrap();
    assert_eq!((step.events, step.more), (2, false));
    let mut left: Vec<String> = everything(store)
        .await
        .iter()
        .map(|event| event.key.id.to_string())
        .collect();
    left.sort();
    assert_eq!(left, ["evt_1", "evt_2"], "what is not finished stays");
    assert_eq!(store.find_event(&key("msg_1")).await.unwrap(), None);

    // What comes again after that is new, and changes nothing.
    let before = super::report(store, "user_a").await;
    apply(store, 4, &[record("evt_3", session_of("cs_1", "user_a"))]).await;
    assert_eq!(super::report(store, "user_a").await, before);
}

pub(super) async fn what_is_about_a_deleted_user_goes_after_the_grace(store: &dyn Store) {
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        about("user_a", ignore("msg_2", "session.created")),
        about("user_a", failing("msg_3", "user.updated", "a place")),
        mirror("msg_4", user("user_b", 1, "Bob")),
    ];
    apply(store, 1, &batch).await;
    // The provider says that it was long ago: the grace counts from when it was recorded here.
    apply(store, 1000, &[delete("msg_5", "user_a", -5_000_000)]).await;
    assert_eq!(
        store.overdue(at(0)).await.unwrap().oldest_deletion,
        Some(at(1000))
    );
    assert_eq!(erase_deleted(store, 999, 2000).await, 0);
    assert_eq!(erase_deleted(store, 1000, 2000).await, 4);
    assert_eq!(store.overdue(at(0)).await.unwrap().oldest_deletion, None);
    let all = ["msg_1", "msg_2", "msg_3", "msg_4", "msg_5"];
    assert_eq!(
        gone(store, &all).await,
        ["msg_1", "msg_2", "msg_3", "msg_5"]
    );
    let remains = record_of(store, "msg_1").await.remains.unwrap();
    assert_eq!((remains.why, remains.at), (Departure::Erased, at(2000)));
    assert_eq!(state_of(store, "msg_3").await, EventState::Failed);
    assert_eq!(erase_deleted(store, 1000, 2000 + SETTLED).await, 0);
    // A second account of the deletion begins nothing anew.
    apply(store, 3000, &[delete("msg_6", "user_a", -6_000_000)]).await;
    assert_eq!(erase_deleted(store, 1000, 9000).await, 1);
}

pub(super) async fn payments_of_a_deleted_user_go_with_them(store: &dyn Store) {
    let bought = paid_with("pi_1", by_customer("cus_1", session_of("cs_1", "user_a")));
    let mut begun = subscription("sub_1");
    begun.customer = Some("cus_1".to_owned());
    let mut renewed = invoice("in_1");
    renewed.subscription = Some("sub_1".to_owned());
    renewed.payment_intent = Some("pi_2".to_owned());
    let batch = [
        record("evt_session", bought),
        tell("evt_subscription", Fact::Subscription(begun)),
        about("cus_1", tell("evt_invoice", Fact::Invoice(renewed))),
        about(
            "pi_2",
            tell("evt_refund", Fact::Refund(refund("re_1", "pi_2"))),
        ),
        about(
            "pi_1",
            tell("evt_charge", Fact::Charge(charge("ch_1", "pi_1"))),
        ),
        about("cus_1", ignore("evt_ignored", "payment_method.attached")),
        tell(
            "evt_customer",
            Fact::Customer(customer("cus_2", "user_a", 0)),
        ),
        record("evt_other", session_of("cs_9", "user_b")),
        about("pi_9", ignore("evt_stranger", "payment_intent.created")),
        delete("msg_1", "user_a", 5),
    ];
    apply(store, 10, &batch).await;
    assert_eq!(erase_deleted(store, 10, 100).await, 8);
    let kept = ["evt_other", "evt_stranger"];
    assert!(gone(store, &kept).await.is_empty());
    assert!(!has_payload(store, "evt_refund").await);
    // What the payloads told stays: the entitlement, for who has to answer a dispute.
    assert!(super::report(store, "user_a").await.entitlement.is_some());
}

pub(super) async fn a_customer_of_a_living_user_as_well_is_kept(store: &dyn Store) {
    let batch = [
        record("evt_1", by_customer("cus_1", session_of("cs_1", "user_a"))),
        record("evt_2", by_customer("cus_1", session_of("cs_2", "user_b"))),
        about("cus_1", ignore("evt_3", "customer.discount.created")),
        delete("msg_1", "user_a", 5),
    ];
    apply(store, 10, &batch).await;
    let asked = asked(Mode::DryRun);
    let planned = store.erase(&["user_a".to_owned()], &asked, at(20)).await;
    let shared = &planned.unwrap().subjects[0].shared;
    assert_eq!(shared[0].customer, "cus_1");
    assert_eq!(shared[0].with, [user_id("user_b")]);

    assert_eq!(erase_deleted(store, 10, 100).await, 2);
    let all = ["evt_1", "evt_2", "evt_3"];
    assert_eq!(gone(store, &all).await, ["evt_1"]);
    assert_eq!(erase_deleted(store, 10, 100 + SETTLED).await, 0);

    // The last one takes the customer along, but not before its own grace is over.
    apply(store, 2000, &[delete("msg_2", "user_b", 5)]).await;
    assert_eq!(erase_deleted(store, 1999, 3000).await, 0);
    assert_eq!(gone(store, &all).await, ["evt_1"]);
    assert_eq!(erase_deleted(store, 2000, 3000).await, 3);
    assert_eq!(gone(store, &all).await, all);
}

pub(super) async fn late_events_about_an_erased_user_go_too(store: &dyn Store) {
    let first = by_customer("cus_1", session_of("cs_1", "user_a"));
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        record("evt_1", first),
        delete("msg_2", "user_a", 5),
    ];
    apply(store, 10, &batch).await;
    assert_eq!(erase_deleted(store, 10, 100).await, 3);
    assert_eq!(erase_deleted(store, 10, 100 + SETTLED).await, 0);

    let late: [&[Planned]; 5] = [
        &[mirror("msg_3", user("user_a", 9, "Ann"))],
        &[about("cus_1", ignore("evt_2", "customer.updated"))],
        &[record("evt_3", by_customer("cus_1", session("cs_3")))],
        &[tell(
            "evt_4",
            Fact::Customer(customer("cus_7", "user_a", 0)),
        )],
        &[about(
            "cs_3",
            failing("evt_5", "checkout.session.completed", "a place"),
        )],
    ];
    let mut now = 1000;
    for (number, batch) in late.into_iter().enumerate() {
        apply(store, now, batch).await;
        let erased = erase_deleted(store, 10, now + 1).await;
        assert_eq!(erased, 1, "late event {number} is kept");
        assert_eq!(erase_deleted(store, 10, now + SETTLED + 2).await, 0);
        now += 1000;
    }
    // A stranger's event opens nothing.
    apply(store, now, &[mirror("msg_9", user("user_b", 9, "Bob"))]).await;
    assert_eq!(erase_deleted(store, 10, now + 1).await, 0);
    assert!(has_payload(store, "msg_9").await);
}

/// A handler that could not read it did not say what it is about; the one that is there now does.
pub(super) async fn what_is_found_to_be_about_an_erased_user_later_goes_too(store: &dyn Store) {
    let unread = failing("msg_3", "user.updated", "a place");
    apply(store, 10, &[delete("msg_2", "user_a", 5), unread]).await;
    assert_eq!(erase_deleted(store, 10, 100).await, 1);
    assert_eq!(erase_deleted(store, 10, 100 + SETTLED).await, 0);

    apply(store, 1000, &[mirror("msg_3", user("user_a", 1, "Ann"))]).await;
    assert_eq!(erase_deleted(store, 10, 1001).await, 1);
    assert!(!has_payload(store, "msg_3").await);
}

/// And not before: until then a person that was just looked at is left alone.
pub(super) async fn the_second_look_comes_when_what_was_going_on_is_over(store: &dyn Store) {
    let first = by_customer("cus_1", session_of("cs_1", "user_a"));
    apply(
        store,
        10,
        &[record("evt_1", first), delete("msg_1", "user_a", 5)],
    )
    .await;
    assert_eq!(erase_deleted(store, 10, 100).await, 2);
    apply(
        store,
        101,
        &[about("cus_1", ignore("evt_2", "customer.updated"))],
    )
    .await;
    assert_eq!(erase_deleted(store, 10, 99 + SETTLED).await, 0, "too early");
    assert_eq!(erase_deleted(store, 10, 100 + SETTLED).await, 1);
}

pub(super) async fn a_person_with_many_events_takes_several_steps(store: &dyn Store) {
    let names: Vec<String> = (0..25).map(|number| format!("msg_{number}")).collect();
    let batch: Vec<_> = names
        .iter()
        .map(|name| about("user_a", ignore(name, "session.created")))
        .chain([delete("msg_gone", "user_a", 5)])
        .collect();
    apply(store, 10, &batch).await;
    let mut steps = Vec::new();
    loop {
        let step = store
            .erase_deleted(at(10), 10, &sweep(), None, at(100))
            .await
            .unwrap();
        steps.push(step.events);
        if !step.more {
            break;
        }
    }
    assert_eq!(steps, [10, 10, 6, 0]);
}

pub(super) async fn an_operator_erases_at_once(store: &dyn Store) {
    let bought = paid_with("pi_1", by_customer("cus_1", session_of("cs_1", "user_a")));
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        record("evt_1", bought),
        about("pi_1", failing("evt_2", "charge.refunded", "a place")),
        about("cs_5", ignore("evt_3", "a.type")),
    ];
    apply(store, 10, &batch).await;
    let subjects = ["user_a".to_owned(), "cs_5".to_owned()];
    let dry = store
        .erase(&subjects, &asked(Mode::DryRun), at(20))
        .await
        .unwrap();
    assert_eq!(
        dry.subjects[0].filed_under,
        ["cs_1", "cus_1", "pi_1", "user_a"]
    );
    let of = |name, events, unfinished| ErasableType {
        event_type: EventType::parse(name).unwrap(),
        events,
        unfinished,
    };
    let types = [
        of("a.type", 1, 0),
        of("charge.refunded", 1, 1),
        of("checkout.session.completed", 1, 0),
        of("user.updated", 1, 0),
    ];
    assert_eq!(dry.types, types);
    let action = dry.action.unwrap();
    assert_eq!(
        (action.matched, action.changed, action.dry_run),
        (4, 0, true)
    );
    let all = ["msg_1", "evt_1", "evt_2", "evt_3"];
    assert!(gone(store, &all).await.is_empty());

    let done = store
        .erase(&subjects, &asked(for_real()), at(30))
        .await
        .unwrap();
    assert_eq!(done.types, types);
    let action = done.action.unwrap();
    assert_eq!((action.matched, action.changed), (4, 4));
    assert_eq!(gone(store, &all).await, all);
    // The user lives: the mirror shows them still.
    assert!(super::report(store, "user_a").await.user.is_some());

    let again = store
        .erase(&subjects, &asked(for_real()), at(40))
        .await
        .unwrap();
    assert_eq!((again.types, again.action), (Vec::new(), None));
    assert_eq!(store.operator_actions(10).await.unwrap().len(), 2);
    // Who lives goes on being recorded.
    apply(store, 50, &[mirror("msg_2", user("user_a", 2, "Ann"))]).await;
    assert_eq!(erase_deleted(store, 9000, 9000).await, 0);
    assert!(has_payload(store, "msg_2").await);
}

pub(super) async fn what_is_due_again_without_its_payload_fails(store: &dyn Store) {
    let mut never_kept = retry("msg_2");
    never_kept.keep_payload = false;
    apply(
        store,
        0,
        &[about("user_a", retry("msg_1")), never_kept, retry("msg_3")],
    )
    .await;
    let subjects = ["user_a".to_owned()];
    store
        .erase(&subjects, &asked(for_real()), at(1))
        .await
        .unwrap();
    let due = |event| next_attempt(&key(event), 1, at(0)).unwrap();
    let last = ["msg_1", "msg_2", "msg_3"]
        .map(due)
        .into_iter()
        .max()
        .unwrap();
    assert_eq!(state_of(store, "msg_1").await, EventState::Retrying);

    let leases = store.lease_retries(10, last, at(5000)).await.unwrap();
    let leased: Vec<_> = leases
        .iter()
        .map(|lease| lease.event.key.id.as_str())
        .collect();
    assert_eq!(leased, ["msg_3"]);
    for event in ["msg_1", "msg_2"] {
        let summary = record_of(store, event).await.summary;
        assert_eq!(summary.state, EventState::Failed);
        assert_eq!(summary.outcome, "payload_gone");
        assert!(summary.last_error.unwrap().contains("not kept any more"));
        assert_eq!((summary.next_attempt_at, summary.attempts), (None, 1));
    }
    assert_eq!(store.next_retry_due().await.unwrap(), Some(at(5000)));
    // Who looks for what fails finds them.
    let groups = store.list_failures(&[], 10).await.unwrap();
    let gone = groups.iter().find(|group| group.kind == "payload_gone");
    let gone = gone.map(|group| (group.failed, group.occurrences, group.last_seen));
    assert_eq!(gone, Some((2, 2, last)));
}
