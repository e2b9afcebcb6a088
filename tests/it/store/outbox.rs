//! What Clerk shall hold, and whether it does.

use hookmirror::model::outbox::{
    DeliveryOutcome, DeliveryState, OutboxEntry, OutboxLease, Recipients, RetryReason,
};
use hookmirror::model::payment::{CheckoutSession, Fact, PaymentStatus};
use hookmirror::model::source::SourceName;
use hookmirror::model::trace::TraceIds;
use hookmirror::store::Store;
use serde_json::{Value, json};

use super::{apply, report};
use crate::support::given::{at, delete, mirror, record, refund, session_of, tell, unpaid, user};

fn metadata(payment: &str, paid: bool) -> Value {
    json!({"stripe": {"status": "complete", "payment": payment, "paid": paid}})
}

/// Records a checkout of `user_a`; a later one decides.
async fn buy(store: &dyn Store, now: i64, event: &str, session: CheckoutSession) {
    let session = crate::support::given::opened(now, session);
    apply(store, now, &[record(event, session)]).await;
}

async fn lease(store: &dyn Store, now: i64) -> Vec<OutboxLease> {
    let leases = store
        .lease_outbox(&Recipients::All, 10, at(now), at(now + 60))
        .await;
    leases.unwrap()
}

async fn lease_one(store: &dyn Store, now: i64) -> OutboxLease {
    let mut leases = lease(store, now).await;
    assert_eq!(leases.len(), 1, "{leases:?}");
    leases.remove(0)
}

async fn settle(store: &dyn Store, now: i64, lease: &OutboxLease, outcome: DeliveryOutcome) {
    store.settle_outbox(lease, &outcome, at(now)).await.unwrap();
}

async fn entry(store: &dyn Store) -> OutboxEntry {
    report(store, "user_a").await.outbox.unwrap()
}

async fn due(store: &dyn Store) -> Option<i64> {
    let due = store.next_outbox_due(&Recipients::All).await.unwrap()?;
    Some(due.as_seconds() - at(0).as_seconds())
}

fn retry(when: i64, charged: bool) -> DeliveryOutcome {
    DeliveryOutcome::Retry {
        at: at(when),
        because: if charged {
            RetryReason::Failed
        } else {
            RetryReason::Throttled
        },
        error: "no answer".to_owned(),
    }
}

/// Clerk does not know the user.
fn gone() -> DeliveryOutcome {
    DeliveryOutcome::UserGone {
        again_at: at(100),
        error: "not found".to_owned(),
    }
}

fn parked() -> DeliveryOutcome {
    DeliveryOutcome::Parked {
        error: "refused".to_owned(),
    }
}

pub(super) async fn a_desired_state_is_leased_once_and_delivered(store: &dyn Store) {
    assert_eq!(due(store).await, None);
    assert!(lease(store, 0).await.is_empty());
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    assert_eq!(due(store).await, Some(1));
    assert!(lease(store, 0).await.is_empty(), "not due yet");

    let leased = lease_one(store, 1).await;
    assert_eq!(leased.user_id.as_str(), "user_a");
    assert_eq!(leased.desired, metadata("paid", true));
    assert_eq!(leased.failures, 0);
    settle(store, 2, &leased, DeliveryOutcome::Delivered).await;
    let expected = OutboxEntry {
        user_id: leased.user_id,
        state: DeliveryState::Delivered,
        desired: metadata("paid", true),
        delivered: Some(metadata("paid", true)),
        failures: 0,
        next_attempt_at: None,
        last_error: None,
        desired_at: at(1),
        updated_at: at(2),
    };
    assert_eq!(entry(store).await, expected);
    assert_eq!(due(store).await, None);
    assert!(store.undelivered(10).await.unwrap().is_empty());
}

pub(super) async fn newer_desires_replace_older_ones(store: &dyn Store) {
    buy(store, 1, "evt_1", unpaid(session_of("cs_1", "user_a"))).await;
    buy(store, 2, "evt_2", session_of("cs_1", "user_a")).await;
    let leased = lease_one(store, 2).await;
    assert_eq!(leased.desired, metadata("paid", true));
}

pub(super) async fn what_clerk_holds_already_is_not_sent(store: &dyn Store) {
    buy(store, 1, "evt_1", unpaid(session_of("cs_1", "user_a"))).await;
    let leased = lease_one(store, 1).await;
    settle(store, 1, &leased, DeliveryOutcome::Delivered).await;

    // The same again, from another session: nothing to do.
    buy(store, 2, "evt_2", unpaid(session_of("cs_2", "user_a"))).await;
    assert_eq!(entry(store).await.updated_at, at(1));
    assert_eq!(due(store).await, None);
}

pub(super) async fn a_change_and_back_while_leased_is_sent_again(store: &dyn Store) {
    use hookmirror::model::payment::NamedUser;

    // Attribution is what can go there and back: unpaid, then paid by a session of the customer.
    let named = crate::support::given::by_customer("cus_1", unpaid(session_of("cs_1", "user_a")));
    buy(store, 1, "evt_1", named).await;
    let first = lease_one(store, 1).await;
    settle(store, 1, &first, DeliveryOutcome::Delivered).await;
    let anonymous = crate::support::given::by_customer("cus_1", session_of("cs_2", "user_a"));
    buy(store, 2, "evt_2", anonymous.clone()).await;
    let second = lease_one(store, 2).await;
    assert_eq!(second.desired, metadata("paid", true));
    // While that is on its way, the paid session turns out to name somebody else from earlier on.
    let earlier = CheckoutSession {
        named_user: Some(NamedUser {
            at: at(-9),
            id: crate::support::given::user_id("user_b"),
        }),
        payment: PaymentStatus::Paid,
        ..anonymous
    };
    buy(store, 3, "evt_3", earlier).await;
    assert_eq!(entry(store).await.desired, metadata("unpaid", false));
    assert_eq!(entry(store).await.state, DeliveryState::Pending);

    settle(store, 4, &second, DeliveryOutcome::Delivered).await;
    let leases = lease(store, 4).await;
    let again = leases.iter().find(|lease| lease.user_id == second.user_id);
    assert_eq!(again.unwrap().desired, metadata("unpaid", false));
}

pub(super) async fn a_change_while_leased_waits_for_the_lease(store: &dyn Store) {
    buy(store, 1, "evt_1", unpaid(session_of("cs_1", "user_a"))).await;
    let first = lease_one(store, 1).await;
    buy(store, 2, "evt_2", session_of("cs_1", "user_a")).await;
    assert_eq!(
        due(store).await,
        Some(61),
        "two writes would be on their way"
    );
    assert!(lease(store, 60).await.is_empty());

    settle(store, 10, &first, DeliveryOutcome::Delivered).await;
    assert_eq!(due(store).await, Some(10), "the lease has ended");
    let second = lease_one(store, 10).await;
    assert_eq!(second.desired, metadata("paid", true));
    assert!(second.lease > first.lease);
}

pub(super) async fn a_lease_excludes_a_second_one_until_it_expires(store: &dyn Store) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    let first = lease_one(store, 1).await;
    assert!(lease(store, 1).await.is_empty());
    assert!(lease(store, 60).await.is_empty());
    assert_eq!(due(store).await, Some(61));
    assert_eq!(entry(store).await.delivered, None, "unknown while leased");
    let second = lease_one(store, 61).await;
    assert!(second.lease > first.lease);
}

/// What was not sent, or has not arrived, changes nothing for those who came later.
pub(super) async fn a_late_settlement_without_effect_is_ignored(store: &dyn Store) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    let lost = lease_one(store, 1).await;
    let held = lease_one(store, 61).await;
    let before = entry(store).await;
    for outcome in [
        gone(),
        DeliveryOutcome::NotSent { again_at: at(70) },
        retry(70, false),
        parked(),
    ] {
        settle(store, 62, &lost, outcome).await;
        assert_eq!(entry(store).await, before);
    }
    settle(store, 63, &held, DeliveryOutcome::Delivered).await;
    assert_eq!(entry(store).await.state, DeliveryState::Delivered);
    // Nor does a settled lease settle twice.
    settle(store, 64, &held, retry(70, true)).await;
    settle(store, 64, &held, DeliveryOutcome::Delivered).await;
    assert_eq!(entry(store).await.state, DeliveryState::Delivered);
}

/// Two writes were on their way at once, and the older may have come last.
pub(super) async fn a_write_under_a_lost_lease_is_made_good(store: &dyn Store) {
    buy(store, 1, "evt_1", unpaid(session_of("cs_1", "user_a"))).await;
    let lost = lease_one(store, 1).await;
    buy(store, 1, "evt_2", session_of("cs_1", "user_a")).await;
    let held = lease_one(store, 61).await;
    assert_ne!(held.desired, lost.desired);
    settle(store, 62, &held, DeliveryOutcome::Delivered).await;
    assert_eq!(entry(store).await.state, DeliveryState::Delivered);

    settle(store, 63, &lost, DeliveryOutcome::Delivered).await;
    let doubted = entry(store).await;
    assert_eq!(doubted.state, DeliveryState::Pending);
    assert_eq!(doubted.delivered, None, "not known any more");
    let again = lease_one(store, 63).await;
    assert_eq!(again.desired, held.desired);
    settle(store, 64, &again, DeliveryOutcome::Delivered).await;
    assert_eq!(entry(store).await.state, DeliveryState::Delivered);
    assert_eq!(due(store).await, None);
}

/// The newer write is still on its way: it may have come before the older one, so its success says
/// nothing. It is waited for, so that there are not three.
pub(super) async fn a_write_under_a_lost_lease_makes_the_next_one_doubtful(store: &dyn Store) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    let lost = lease_one(store, 1).await;
    let held = lease_one(store, 61).await;
    settle(store, 62, &lost, retry(70, true)).await;
    assert!(lease(store, 120).await.is_empty(), "the newer lease holds");
    settle(store, 63, &held, DeliveryOutcome::Delivered).await;
    assert_eq!(entry(store).await.state, DeliveryState::Pending);
    let again = lease_one(store, 121).await;
    settle(store, 122, &again, DeliveryOutcome::Delivered).await;
    assert_eq!(entry(store).await.state, DeliveryState::Delivered);
    assert_eq!(due(store).await, None);
}

pub(super) async fn a_charged_failure_counts_and_an_uncharged_one_does_not(store: &dyn Store) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    for (now, charged, failures) in [(1, true, 1), (11, false, 1), (21, true, 2)] {
        let leased = lease_one(store, now).await;
        settle(store, now, &leased, retry(now + 10, charged)).await;
        let entry = entry(store).await;
        assert_eq!(entry.failures, failures);
        assert_eq!(entry.state, DeliveryState::Pending);
        assert_eq!(entry.next_attempt_at, Some(at(now + 10)));
        assert_eq!(entry.last_error.as_deref(), Some("no answer"));
        assert_eq!(due(store).await, Some(now + 10));
        assert!(lease(store, now + 9).await.is_empty());
    }
    let leased = lease_one(store, 31).await;
    assert_eq!(leased.failures, 2);
    settle(store, 31, &leased, DeliveryOutcome::Delivered).await;
    assert_eq!(entry(store).await.failures, 0);
    assert_eq!(entry(store).await.last_error, None);
}

pub(super) async fn a_new_desire_starts_without_failures(store: &dyn Store) {
    buy(store, 1, "evt_1", unpaid(session_of("cs_1", "user_a"))).await;
    let leased = lease_one(store, 1).await;
    settle(store, 1, &leased, retry(100, true)).await;
    buy(store, 5, "evt_2", session_of("cs_1", "user_a")).await;
    assert_eq!(entry(store).await.failures, 0);
    assert_eq!(due(store).await, Some(5), "does not inherit the wait");

    // The same where the new desire came while the old one was failing.
    let leased = lease_one(store, 5).await;
    let other = crate::support::given::opened(-5, unpaid(session_of("cs_0", "user_a")));
    apply(store, 6, &[record("evt_3", other)]).await;
    settle(store, 7, &leased, retry(100, true)).await;
    assert_eq!(entry(store).await.failures, 1, "the desire did not change");
    assert_eq!(due(store).await, Some(100));
}

pub(super) async fn a_parked_entry_waits_for_a_new_desire(store: &dyn Store) {
    buy(store, 1, "evt_1", unpaid(session_of("cs_1", "user_a"))).await;
    let leased = lease_one(store, 1).await;
    settle(store, 1, &leased, parked()).await;
    assert_eq!(entry(store).await.state, DeliveryState::Parked);
    assert_eq!(entry(store).await.failures, 1);
    assert_eq!(due(store).await, None);
    assert!(lease(store, 1_000_000).await.is_empty());

    buy(store, 2, "evt_2", session_of("cs_1", "user_a")).await;
    assert_eq!(lease_one(store, 2).await.desired, metadata("paid", true));
}

pub(super) async fn a_user_unknown_to_clerk_is_tried_again_once_mirrored(store: &dyn Store) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    let leased = lease_one(store, 1).await;
    settle(store, 1, &leased, gone()).await;
    assert_eq!(entry(store).await.state, DeliveryState::UserGone);
    assert_eq!(due(store).await, None);

    apply(store, 5, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    assert_eq!(due(store).await, Some(5));
    let leased = lease_one(store, 5).await;
    settle(store, 5, &leased, DeliveryOutcome::Delivered).await;
    // Seeing the user again is no reason to send again.
    apply(store, 6, &[mirror("msg_2", user("user_a", 2, "Ann"))]).await;
    assert_eq!(due(store).await, None);
}

pub(super) async fn a_user_mirrored_while_clerk_denied_it_is_tried_again(store: &dyn Store) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    let leased = lease_one(store, 1).await;
    // Clerk's answer may be older than this; nothing would wake the entry later.
    apply(store, 1, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    settle(store, 1, &leased, gone()).await;
    let pending = entry(store).await;
    assert_eq!(pending.state, DeliveryState::Pending);
    assert_eq!(pending.failures, 1);
    assert_eq!(pending.last_error.as_deref(), Some("not found"));
    assert_eq!(due(store).await, Some(100));

    // Nothing new was seen of the user: a deletion that never arrived must not be asked about for
    // ever.
    let leased = lease_one(store, 100).await;
    settle(store, 100, &leased, gone()).await;
    assert_eq!(entry(store).await.state, DeliveryState::UserGone);
    assert_eq!(due(store).await, None);
}

pub(super) async fn what_was_not_sent_is_due_and_otherwise_as_before(store: &dyn Store) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    let leased = lease_one(store, 1).await;
    settle(store, 1, &leased, retry(2, true)).await;
    let before = entry(store).await;

    let leased = lease_one(store, 5).await;
    let not_sent = DeliveryOutcome::NotSent { again_at: at(8) };
    settle(store, 6, &leased, not_sent).await;
    let expected = OutboxEntry {
        next_attempt_at: Some(at(8)),
        ..before
    };
    assert_eq!(entry(store).await, expected);
    assert!(lease(store, 7).await.is_empty());
    assert_eq!(lease_one(store, 8).await.failures, 1);
}

/// Two payments of `user_a`, of which the newer one decides; both are access.
async fn paid_and_free(store: &dyn Store, delivered: bool) {
    buy(store, 1, "evt_1", session_of("cs_1", "user_a")).await;
    let leased = lease_one(store, 1).await;
    let outcome = match delivered {
        true => DeliveryOutcome::Delivered,
        false => retry(2, true),
    };
    settle(store, 1, &leased, outcome).await;
    buy(store, 2, "evt_2", free("cs_2")).await;
    let desired = metadata("no_payment_required", true);
    assert_eq!(entry(store).await.desired, desired);
}

fn free(id: &str) -> CheckoutSession {
    CheckoutSession {
        payment: PaymentStatus::NoPaymentRequired,
        ..session_of(id, "user_a")
    }
}

pub(super) async fn a_change_and_back_before_a_lease_is_not_sent(store: &dyn Store) {
    paid_and_free(store, true).await;
    assert_eq!(due(store).await, Some(2));
    buy(store, 3, "evt_3", session_of("cs_3", "user_a")).await;
    let entry = entry(store).await;
    assert_eq!(entry.state, DeliveryState::Delivered);
    assert_eq!(entry.desired, metadata("paid", true));
    assert_eq!(due(store).await, None);
}

pub(super) async fn a_change_and_back_of_what_was_not_confirmed_is_sent(store: &dyn Store) {
    paid_and_free(store, false).await;
    buy(store, 3, "evt_3", session_of("cs_3", "user_a")).await;
    assert_eq!(lease_one(store, 3).await.desired, metadata("paid", true));
}

pub(super) async fn a_lease_that_sent_nothing_leaves_what_is_known(store: &dyn Store) {
    paid_and_free(store, true).await;
    let leased = lease_one(store, 2).await;
    assert_eq!(leased.delivered, Some(metadata("paid", true)));
    assert_eq!(entry(store).await.delivered, None, "unknown while leased");
    let not_sent = || DeliveryOutcome::NotSent { again_at: at(3) };
    settle(store, 2, &leased, not_sent()).await;
    assert_eq!(entry(store).await.delivered, Some(metadata("paid", true)));
    assert_eq!(due(store).await, Some(3));

    // If it is desired again what Clerk still holds, there is nothing to send.
    let leased = lease_one(store, 3).await;
    buy(store, 4, "evt_3", session_of("cs_3", "user_a")).await;
    assert_eq!(due(store).await, Some(63));
    settle(store, 5, &leased, not_sent()).await;
    assert_eq!(entry(store).await.state, DeliveryState::Delivered);
    assert_eq!(due(store).await, None);
}

pub(super) async fn a_deletion_ends_delivery_for_good(store: &dyn Store) {
    buy(store, 1, "evt_1", unpaid(session_of("cs_1", "user_a"))).await;
    let leased = lease_one(store, 1).await;
    apply(store, 2, &[delete("msg_1", "user_a", 2)]).await;
    assert_eq!(entry(store).await.state, DeliveryState::UserGone);
    // What was on its way when the user went does not bring the entry back.
    settle(store, 3, &leased, retry(4, true)).await;
    assert_eq!(entry(store).await.state, DeliveryState::UserGone);

    apply(store, 4, &[mirror("msg_2", user("user_a", 9, "Ann"))]).await;
    buy(store, 5, "evt_2", session_of("cs_1", "user_a")).await;
    assert_eq!(entry(store).await.state, DeliveryState::UserGone);
    assert_eq!(due(store).await, None);
}

pub(super) async fn a_payment_of_a_deleted_user_is_not_sent(store: &dyn Store) {
    let paid = |event: &str, user: &str| record(event, session_of(&format!("cs_{user}"), user));
    // Deleted before, after and in the same batch.
    apply(store, 0, &[delete("msg_1", "user_a", 0)]).await;
    apply(store, 1, &[paid("evt_1", "user_a")]).await;
    let both = [paid("evt_2", "user_b"), delete("msg_2", "user_b", 0)];
    apply(store, 2, &both).await;
    let both = [delete("msg_3", "user_c", 0), paid("evt_3", "user_c")];
    apply(store, 3, &both).await;
    for user in ["user_a", "user_b", "user_c"] {
        let found = report(store, user).await;
        assert_eq!(
            found.outbox.unwrap().state,
            DeliveryState::UserGone,
            "{user}"
        );
        assert!(found.entitlement.unwrap().paid, "the fact stands");
    }
    assert_eq!(due(store).await, None);
}

pub(super) async fn the_longest_due_go_first_and_no_more_than_the_limit(store: &dyn Store) {
    for (now, user) in [(3, "user_c"), (1, "user_a"), (2, "user_b")] {
        let event = record(
            &format!("evt_{user}"),
            session_of(&format!("cs_{user}"), user),
        );
        apply(store, now, &[event]).await;
    }
    let leased = store
        .lease_outbox(&Recipients::All, 2, at(9), at(60))
        .await
        .unwrap();
    let mut users: Vec<&str> = leased.iter().map(|lease| lease.user_id.as_str()).collect();
    users.sort_unstable();
    assert_eq!(users, ["user_a", "user_b"]);
    assert_eq!(due(store).await, Some(3));
    assert!(
        store
            .lease_outbox(&Recipients::All, 0, at(9), at(60))
            .await
            .unwrap()
            .is_empty()
    );
}

pub(super) async fn undelivered_are_listed_the_longest_desired_first(store: &dyn Store) {
    for (now, user) in [(3, "user_c"), (1, "user_a"), (2, "user_b"), (4, "user_d")] {
        let event = record(
            &format!("evt_{user}"),
            session_of(&format!("cs_{user}"), user),
        );
        apply(store, now, &[event]).await;
    }
    let leases = lease(store, 4).await;
    for (user, outcome) in [
        ("user_a", parked()),
        ("user_b", DeliveryOutcome::Delivered),
        ("user_c", retry(99, true)),
        ("user_d", gone()),
    ] {
        let lease = leases.iter().find(|lease| lease.user_id.as_str() == user);
        settle(store, 5, lease.unwrap(), outcome).await;
    }
    let listed = |entries: Vec<OutboxEntry>| -> Vec<String> {
        entries
            .iter()
            .map(|entry| entry.user_id.to_string())
            .collect()
    };
    let all = listed(store.undelivered(10).await.unwrap());
    assert_eq!(all, ["user_a", "user_c"]);
    let first = listed(store.undelivered(1).await.unwrap());
    assert_eq!(first, ["user_a"]);
}

pub(super) async fn each_instance_gets_its_own_users_and_one_the_strangers(store: &dyn Store) {
    let of = |instance: &str, strangers| Recipients::Of {
        instance: SourceName::parse(instance).unwrap(),
        strangers,
    };
    let (main, other) = (of("clerk", true), of("clerk-eu", false));
    for user in ["user_main", "user_eu", "user_new"] {
        let session = session_of(&format!("cs_{user}"), user);
        apply(store, 0, &[record(&format!("evt_{user}"), session)]).await;
    }
    apply(store, 0, &[mirror("msg_1", user("user_main", 1, "Ann"))]).await;
    let mut from_eu = mirror("msg_2", user("user_eu", 1, "Bob"));
    from_eu.event.key.source = SourceName::parse("clerk-eu").unwrap();
    apply(store, 0, &[from_eu]).await;

    let leased = async |of: &Recipients, now: i64| {
        let leases = store.lease_outbox(of, 10, at(now), at(now + 60)).await;
        let leases = leases.unwrap().into_iter();
        let mut users: Vec<String> = leases.map(|lease| lease.user_id.to_string()).collect();
        users.sort();
        users
    };
    let due = async |of: &Recipients| store.next_outbox_due(of).await.unwrap();
    assert_eq!(due(&other).await, Some(at(0)));
    assert_eq!(leased(&other, 1).await, ["user_eu"]);
    assert_eq!(due(&other).await, Some(at(61)));
    assert_eq!(due(&main).await, Some(at(0)), "of the others");
    assert_eq!(leased(&main, 1).await, ["user_main", "user_new"]);
    assert_eq!(leased(&of("clerk-us", false), 100).await, [""; 0]);
    let everyone = ["user_eu", "user_main", "user_new"];
    assert_eq!(leased(&Recipients::All, 100).await, everyone);
}

fn with_intent(session: CheckoutSession) -> CheckoutSession {
    CheckoutSession {
        payment_intent: Some(format!("pi_{}", session.id)),
        ..session
    }
}

/// By the event that last changed what is desired; a later one that changes nothing is not the cause.
pub(super) async fn an_entry_knows_the_trace_that_asked_for_it(store: &dyn Store) {
    let ids = TraceIds::of(7);
    let (first, second, third) = (ids.span(None), ids.span(None), ids.span(None));
    let traced = |event: &str, session, trace| {
        let mut planned = record(event, with_intent(session));
        planned.event.trace = Some(trace);
        planned
    };
    let session = session_of("cs_1", "user_a");
    let other = traced("evt_other", session_of("cs_2", "user_b"), third);
    apply(
        store,
        1,
        &[traced("evt_1", unpaid(session.clone()), first), other],
    )
    .await;
    let leases = lease(store, 2).await;
    let trace = |user: &str| {
        let mut all = leases.iter();
        all.find(|lease| lease.user_id.as_str() == user)
            .unwrap()
            .trace
    };
    assert_eq!(trace("user_a"), Some(first));
    assert_eq!(trace("user_b"), Some(third));
    for lease in &leases {
        settle(store, 3, lease, DeliveryOutcome::Delivered).await;
    }

    apply(store, 4, &[traced("evt_2", session.clone(), second)]).await;
    apply(store, 5, &[traced("evt_3", session, third)]).await;
    let lease = lease_one(store, 6).await;
    assert_eq!(lease.trace, Some(second));
    settle(store, 7, &lease, DeliveryOutcome::Delivered).await;

    // It is taken back by an event that names neither session nor user.
    let mut refunded = tell("evt_4", Fact::Refund(refund("re_1", "pi_cs_1")));
    refunded.event.trace = Some(third);
    apply(store, 8, &[refunded]).await;
    assert_eq!(lease_one(store, 9).await.trace, Some(third));
}
