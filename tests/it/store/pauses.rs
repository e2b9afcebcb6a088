//! Sources that are paused, and what becomes of their events.

use hookmirror::model::changes::{Decision, Outcome, Planned};
use hookmirror::model::ledger::EventSummary;
use hookmirror::model::operator::{Mode, Operator, OperatorAction, Reason};
use hookmirror::model::pause::{SourceChange, SourceStanding};
use hookmirror::model::source::SourceName;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;
use serde_json::json;

use super::{apply, outcomes, record_of, state_of};
use crate::support::database::Database;
use crate::support::given::{
    at, by_customer, failing, ignore, mirror, received, record, retry, session, session_of, user,
    user_id,
};

fn source(name: &str) -> SourceName {
    SourceName::parse(name).unwrap()
}

/// Asks for it at this time, for real if there is a reason; answers how many it concerns, and how many
/// were changed.
async fn change(
    store: &dyn Store,
    now: i64,
    change: SourceChange,
    sources: &[&str],
    reason: Option<&str>,
) -> (u64, u64) {
    let sources: Vec<SourceName> = sources.iter().map(|name| source(name)).collect();
    let action = OperatorAction {
        operator: Operator::parse("ann").unwrap(),
        action: "sources pause",
        target: json!({ "sources": sources }),
        mode: reason.map_or(Mode::DryRun, |reason| {
            Mode::Execute(Reason::parse(reason).unwrap())
        }),
    };
    let changed = store
        .change_sources(change, &sources, &action, at(now))
        .await;
    let record = changed.unwrap();
    assert_eq!(record.dry_run, reason.is_none());
    (record.matched, record.changed)
}

pub(super) async fn pause(store: &dyn Store, sources: &[&str]) {
    let all = sources.len() as u64;
    let done = change(
        store,
        1,
        SourceChange::Pause,
        sources,
        Some("a bad release"),
    )
    .await;
    assert_eq!(done, (all, all));
}

pub(super) async fn resume(store: &dyn Store, sources: &[&str]) {
    let all = sources.len() as u64;
    let done = change(store, 2, SourceChange::Resume, sources, Some("mended")).await;
    assert_eq!(done, (all, all));
}

pub(super) async fn release(store: &dyn Store, limit: u32, now: i64) -> u64 {
    store.release_parked(limit, at(now)).await.unwrap()
}

/// Puts what is due back onto the queue; answers what.
pub(super) async fn put_back(store: &dyn Store, now: i64) -> Vec<String> {
    let leases = store
        .lease_retries(100, at(now), at(now + 30))
        .await
        .unwrap();
    store.retries_queued(&leases).await.unwrap();
    let ids = leases.iter().map(|lease| lease.event.key.id.to_string());
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    ids
}

pub(super) async fn standing(store: &dyn Store, name: &str) -> SourceStanding {
    let standings = store.source_standings().await.unwrap().into_iter();
    let mut of = standings.filter(|standing| standing.source == source(name));
    of.next().unwrap()
}

async fn summary(store: &dyn Store, event: &str) -> EventSummary {
    record_of(store, event).await.summary
}

pub(super) async fn events_of_a_paused_source_are_put_aside(database: &Database) {
    let store = &*database.store;
    pause(store, &["stripe"]).await;
    let mut no_bytes = record("evt_2", session_of("cs_2", "user_b"));
    no_bytes.keep_payload = false;
    let batch = [
        record("evt_1", session_of("cs_1", "user_a")),
        no_bytes,
        ignore("evt_3", "a.type"),
        failing("evt_4", "a.type", "a place"),
        mirror("msg_1", user("user_a", 1, "Ann")),
        record("evt_1", session_of("cs_1", "user_a")),
    ];
    let came = outcomes(store, 5, &batch).await;
    assert_eq!(came[0], Outcome::Parked);
    let could_not_be_taken_up_again = came[1];
    assert_eq!(could_not_be_taken_up_again, Outcome::PaymentRecorded);
    assert!(matches!(came[2], Outcome::Ignored(_)));
    let of_others = [Outcome::Parked, Outcome::UserMirrored, Outcome::Duplicate];
    assert_eq!(came[3..], of_others);

    let parked = record_of(store, "evt_1").await;
    assert_eq!(parked.summary.state, EventState::Queued);
    assert_eq!(parked.summary.outcome, "paused");
    assert_eq!((parked.summary.deliveries, parked.summary.attempts), (2, 0));
    assert_eq!(parked.summary.subject.as_deref(), Some("cs_1"));
    assert!(parked.payload.is_some() && parked.attempts.is_empty());
    let known = store.find_user(&user_id("user_a")).await.unwrap().unwrap();
    assert!(known.entitlement.is_none() && known.user.is_some());
    let failing = summary(store, "evt_4").await;
    assert_eq!((failing.last_error, failing.fingerprint), (None, None));

    // Another delivery counts, and changes nothing else.
    apply(store, 6, &batch[..1]).await;
    let again = summary(store, "evt_1").await;
    assert_eq!((again.deliveries, again.attempts), (3, 0));
    assert_eq!(again.state, EventState::Queued);
}

pub(super) async fn what_has_ended_or_waits_is_not_put_aside(database: &Database) {
    let store = &*database.store;
    let applied = record("evt_1", session_of("cs_1", "user_a"));
    let waits = record("evt_2", by_customer("cus_1", session("cs_2")));
    apply(store, 0, &[applied.clone(), waits.clone()]).await;
    pause(store, &["stripe"]).await;
    let came = outcomes(store, 5, &[applied, waits]).await;
    assert_eq!(came, [Outcome::Duplicate, Outcome::Duplicate]);
    assert_eq!(state_of(store, "evt_1").await, EventState::Applied);
    let waits = summary(store, "evt_2").await;
    assert_eq!((waits.state, waits.deliveries), (EventState::Waiting, 2));

    // What the queue has given up must not go back there.
    let mut dead = failing("evt_3", "a.type", "queue");
    if let Decision::Fail(failure) = dead.decision {
        dead.decision = Decision::Fail(failure.given_up());
    }
    apply(store, 6, &[dead]).await;
    assert_eq!(state_of(store, "evt_3").await, EventState::Failed);
}

pub(super) async fn what_was_put_aside_goes_back_oldest_first(database: &Database) {
    let store = &*database.store;
    pause(store, &["stripe", "clerk"]).await;
    let told = |n: i64| {
        let session = session_of(&format!("cs_{n}"), "user_a");
        received(n, record(&format!("evt_{n}"), session))
    };
    let batch: Vec<Planned> = [3, 1, 2].map(told).into();
    apply(store, 5, &batch).await;
    apply(store, 5, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    assert_eq!(release(store, 10, 6).await, 0, "while it is paused");

    resume(store, &["stripe"]).await;
    assert_eq!(release(store, 2, 7).await, 2);
    assert_eq!(standing(store, "stripe").await.parked, 1);
    assert_eq!(put_back(store, 7).await, ["evt_1", "evt_2"]);
    assert_eq!(state_of(store, "evt_1").await, EventState::Queued);
    // What is on its way is not taken up once more.
    assert_eq!(release(store, 10, 8).await, 1);
    assert_eq!(release(store, 10, 8).await, 0);
    assert_eq!(put_back(store, 8).await, ["evt_3"]);
    assert_eq!(summary(store, "msg_1").await.outcome, "paused");

    let came = outcomes(store, 9, &batch).await;
    assert_eq!(came, [Outcome::PaymentRecorded; 3]);
    let applied = record_of(store, "evt_1").await;
    let counts = (applied.summary.deliveries, applied.summary.attempts);
    assert_eq!(counts, (2, 1));
    assert!(applied.attempts.is_empty(), "it simply succeeded");
}

pub(super) async fn a_retry_that_meets_a_pause_keeps_its_place(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[retry("msg_1")]).await;
    let before = summary(store, "msg_1").await;
    assert_eq!(put_back(store, 500).await, ["msg_1"]);
    pause(store, &["clerk"]).await;
    apply(store, 501, &[retry("msg_1")]).await;
    let parked = record_of(store, "msg_1").await;
    assert_eq!(parked.summary.outcome, "paused");
    assert_eq!((parked.summary.attempts, parked.attempts.len()), (1, 1));
    assert_eq!(parked.summary.last_error, before.last_error);
    assert_eq!(parked.summary.fingerprint, before.fingerprint);

    resume(store, &["clerk"]).await;
    assert_eq!(release(store, 10, 502).await, 1);
    assert_eq!(put_back(store, 502).await, ["msg_1"]);
    apply(store, 503, &[retry("msg_1")]).await;
    let after = record_of(store, "msg_1").await;
    assert_eq!(after.summary.state, EventState::Retrying);
    assert_eq!((after.summary.attempts, after.attempts.len()), (2, 2));
}

/// A batch that began while the source was paused may be committed after all others went back.
pub(super) async fn what_is_put_aside_too_late_goes_back_too(database: &Database) {
    let store = &*database.store;
    pause(store, &["stripe"]).await;
    apply(store, 5, &[record("evt_1", session_of("cs_1", "user_a"))]).await;
    resume(store, &["stripe"]).await;
    assert_eq!(release(store, 10, 6).await, 1);
    assert_eq!(put_back(store, 6).await, ["evt_1"]);
    let late = "UPDATE events SET outcome = 'paused' WHERE state = 'queued'";
    database.execute(late).await;
    assert_eq!(release(store, 10, 7).await, 1);
}

pub(super) async fn who_paused_what_is_known(database: &Database) {
    let store = &*database.store;
    let pausing = SourceChange::Pause;
    apply(store, 0, &[received(7, ignore("evt_0", "a.type"))]).await;
    let dry = change(store, 1, pausing, &["stripe", "clerk", "stripe"], None).await;
    assert_eq!(dry, (2, 0));
    assert!(standing(store, "stripe").await.pause.is_none(), "a dry run");
    pause(store, &["stripe"]).await;
    let rest = change(store, 3, pausing, &["stripe", "clerk"], Some("more")).await;
    assert_eq!(rest, (1, 1), "what is paused already stays as it is");
    apply(store, 5, &[received(8, record("evt_1", session("cs_1")))]).await;

    let stripe = standing(store, "stripe").await;
    let by = stripe.pause.unwrap();
    assert_eq!(by.since, at(1));
    assert_eq!(by.operator.as_str(), "ann");
    assert_eq!(by.reason, "a bad release");
    assert_eq!(stripe.last_received_at, Some(at(8)));
    assert_eq!((stripe.parked, stripe.oldest_parked_at), (1, Some(at(8))));
    assert_eq!(stripe.oldest_unapplied_at, Some(at(8)));
    let clerk = standing(store, "clerk").await;
    assert_eq!(clerk.pause.unwrap().since, at(3));
    assert_eq!((clerk.parked, clerk.last_received_at), (0, None));

    resume(store, &["stripe"]).await;
    let again = change(store, 6, SourceChange::Resume, &["stripe"], Some("x")).await;
    assert_eq!(again, (0, 0));
    let stripe = standing(store, "stripe").await;
    assert_eq!((stripe.pause, stripe.parked), (None, 1));
    assert_eq!(store.operator_actions(10).await.unwrap().len(), 5);
    let once_more = change(store, 7, pausing, &["stripe"], Some("again")).await;
    assert_eq!(once_more, (1, 1));
    assert_eq!(standing(store, "stripe").await.pause.unwrap().since, at(7));
}
